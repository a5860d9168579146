import pytest

from valle.backends.transcription import Transcription, compression_ratio
from valle.phonemes import open_phonemizer
from valle.stages.rules.plausibility import (
    ConfidenceRules,
    disagreement,
    given_fault,
    is_stock_phrase,
    loop_in,
    phoneme_disagreement,
    rate_fault,
    transcription_fault,
)

RULES = ConfidenceRules(min_logprob=-1.0, max_compression_ratio=2.4, max_no_speech=0.6)


def heard(text: str, *, logprob: float = -0.2, no_speech: float = 0.05, language: str = "en") -> Transcription:
    return Transcription(text, language, 0.99, logprob, no_speech, compression_ratio(text))


@pytest.mark.parametrize(
    ("what", "duration", "reason"),
    [
        (heard(""), 3.0, "no_text"),
        (heard(". . ."), 3.0, "no_text"),
        (heard("Thank you.", no_speech=0.8), 3.0, "stock_phrase"),
        (heard("Thanks for watching!", logprob=-0.7), 3.0, "stock_phrase"),
        (heard("ご視聴ありがとうございました。", no_speech=0.9, language="ja"), 3.0, "stock_phrase"),
        (heard("and then", logprob=-1.4, no_speech=0.9), 1.0, "no_speech"),
        (heard("the view of the view of the view of the view of the view of"), 4.0, "repetitive"),
        (heard("no no no no no no no"), 2.0, "repetitive"),
        (heard("好的好的好的好的好的好的", language="zh"), 3.0, "repetitive"),
        (heard("some muttering that is hardly there", logprob=-1.3), 2.0, "low_logprob"),
        (heard("Chapter one."), 14.0, "implausible_rate"),
        (heard("every word of a long sentence in a very short time, as nobody can say it"), 1.0, "implausible_rate"),
    ],
)
def test_made_up_text_is_found(what: Transcription, duration: float, reason: str):
    fault = transcription_fault(what, duration, RULES)
    assert fault is not None
    assert fault.reason == reason
    assert fault.detail


@pytest.mark.parametrize(
    ("what", "duration"),
    [
        (heard("Thank you."), 1.0),
        (heard("Six six six two."), 1.6),
        (heard("No, no, no, that is very very bad."), 2.6),
        (heard("7"), 0.5),
        (heard("He was born in 1813 and died in 1855."), 5.0),
        (heard("今天天气很好，我们去公园吧。", language="zh"), 3.0),
    ],
)
def test_plain_speech_passes(what: Transcription, duration: float):
    assert transcription_fault(what, duration, RULES) is None


def test_a_loop_is_named_by_its_words():
    assert loop_in("and so on and so on and so on", "en") is not None
    assert set((loop_in("it was the best of it was the best of it was the best of", "en") or "").split()) == {
        "it", "was", "the", "best", "of",
    }  # fmt: skip
    assert loop_in("", "en") is None


def test_a_stock_phrase_is_the_whole_text_only():
    assert is_stock_phrase("  Thank you! ", "en")
    assert not is_stock_phrase("Thank you for coming, she said.", "en")
    assert is_stock_phrase("Untertitel der Amara.org-Community", "de")


def test_disagreement_ignores_case_punctuation_and_the_spelling_of_numbers():
    assert disagreement("Seven three oh nine.", "seven three oh nine", "en") == 0
    assert disagreement("the year twenty", "The year 20!", "en") == 0
    assert disagreement("one two three four", "one two three five", "en") == 0.25
    assert disagreement("你好世界", "你好视界", "zh") == 0.25


@pytest.mark.parametrize(
    ("given", "other", "language"),
    [
        ("N A S A and the U S A", "NASA and the USA.", "en"),
        ("do not", "don't", "en"),
        ("The colour of the theatre", "the color of the theater", "en"),
        ("$5", "five dollars", "en"),
        ("St. Paul", "Saint Paul", "en"),
        ("Strasse", "Straße", "de"),
        ("아버지가 방에", "아버지 가방에", "ko"),
    ],
)
def test_two_spellings_of_a_text_agree(given: str, other: str, language: str):
    assert disagreement(given, other, language) == 0
    assert disagreement(other, given, language) == 0


def test_what_is_in_brackets_agrees_with_nothing_else():
    assert disagreement("[Applause]", "(music)", "en") == 1


@pytest.mark.parametrize(
    ("given", "other", "language"),
    [
        ("OK, OK", "Okay, okay.", "en"),
        ("e-mail", "email", "en"),
        ("won`t", "won't", "en"),
        ("co\u00adoperate", "cooperate", "en"),
        ("Er ist 25", "Er ist fünfundzwanzig.", "de"),
        ("25 euros", "vingt-cinq euros", "fr"),
        ("25年", "二十五年", "ja"),
        ("今日は良い", "きょうはよい", "ja"),
        ("漢語學習", "汉语学习", "zh"),
        ("25个人", "二十五个人", "zh"),
        ("25개", "스물다섯 개", "ko"),
    ],
)
def test_texts_that_are_read_alike_have_the_same_phonemes(given: str, other: str, language: str):
    assert phoneme_disagreement(given, other, language, open_phonemizer("espeak")) == 0


def test_phonemes_of_another_text_disagree():
    espeak = open_phonemizer("espeak")
    assert phoneme_disagreement("Something else was said", "A quiet evening by the sea", "en", espeak) > 0.7
    assert phoneme_disagreement("...", "hello", "en", espeak) > 1


@pytest.mark.parametrize(
    ("text", "language", "is_empty"),
    [("...", "en", True), ("♪ ♪", "en", True), ("谢谢", "en", True), ("Привет", "en", True), ("。。。", "zh", True),
     ("谢谢", "zh", False), ("7", "en", False)],
)  # fmt: skip
def test_a_given_text_that_nothing_can_be_compared_with_is_a_fault(text: str, language: str, is_empty: bool):
    fault = given_fault(text, language)
    assert (fault is not None) == is_empty
    assert fault is None or (fault.reason == "empty" and text in fault.detail)
    assert disagreement(text, "hello" if language == "en" else "你好", language) > 0.9


def test_the_rate_forgives_pauses_around_short_words():
    assert rate_fault("yes", 1.4, "en") is None
    assert rate_fault("yes", 6.0, "en") is not None
