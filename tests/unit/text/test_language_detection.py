import pytest

from valle.text.language import detect_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The quick brown fox jumps over the lazy dog.", "en"),
        ("Guten Morgen, wie geht es Ihnen?", "de"),
        ("Bonjour le monde, il fait beau.", "fr"),
        ("東京は晴れです。", "ja"),
        ("今天天气很好。", "zh"),
        ("안녕하세요, 반갑습니다.", "ko"),
    ],
)
def test_a_sentence_is_recognised(text, language):
    found = detect_language(text)
    assert found.language == language and found.is_sure


@pytest.mark.parametrize("text", ["OK", "123", ""])
def test_what_could_be_any_language_is_not_sure(text):
    assert not detect_language(text).is_sure


def test_a_guess_prefers_familiar_languages_and_a_sure_answer_does_not():
    assert detect_language("no", ["<unk>", "en"]).language == "en"
    assert detect_language("123", ["fr"]).language == "fr"
    assert detect_language("123", ["<unk>"]) == detect_language("123")
    assert detect_language("Guten Morgen, wie geht es Ihnen?", ["en"]).language == "de"
