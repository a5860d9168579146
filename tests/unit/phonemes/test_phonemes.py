import threading
from pathlib import Path

import pytest

from valle.phonemes import LANGUAGES, normalise, open_phonemizer, phoneme_table, wrong_script
from valle.phonemes.symbols import split_symbols
from valle.phonemes.table import PhonemeTable, read_table
from warehouse.errors import ConfigurationError

TEXTS = {
    "en": [
        "The quick brown fox jumps over the lazy dog.",
        'Dr. Smith paid 3.50 dollars at 12:30 -- really? "No way!" (He said.)',
        "Measure, vision, church, judge, thing, this, button, little, bird, air, poor, 10,000 and 1984…",
    ],
    "de": [
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
        "Ich möchte ein Stück Käsekuchen, Pferd und Journalist!",
    ],
    "fr": [
        "Portez ce vieux whisky au juge blond qui fume.",
        "L'été, où sont les œufs brûlés ? Un bon vin blanc, huit oignons.",
    ],
    "ja": ["いろはにほへと ちりぬるを。", "きゃりーぱみゅぱみゅは、ちょっとびょういんへ いった！"],
    "ko": ["키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.", "안녕하세요, 반갑습니다!"],
    "zh": ["你好，今天天气怎么样？", "我能吞下玻璃而不伤身体。", "是四十二个日本人吃了三个苹果！"],
}


@pytest.fixture(scope="module")
def espeak():
    return open_phonemizer("espeak")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_holds_every_symbol_of_the_six_languages(espeak, language: str):
    for text, symbols in zip(TEXTS[language], espeak.phonemize(TEXTS[language], language), strict=True):
        assert wrong_script(normalise(text), language) is None
        assert len(symbols) > 10
        assert phoneme_table().unknown(symbols) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_phonemes_repeat_and_do_not_depend_on_their_neighbours(espeak, language: str):
    together = espeak.phonemize(["", *TEXTS[language]], language)
    assert together[0] == []
    assert together[1:] == [espeak.phonemize([text], language)[0] for text in TEXTS[language]]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Hello, world!", "en", "həlˈoʊ, wˈɜːld!"),
        ("Yes... no", "en", "jˈɛs… nˈoʊ"),
        ("12:30", "en", "twˈɛlv θˈɜːɾi"),
        ("3.5", "en", "θɹˈiː pɔɪnt fˈaɪv"),
        ("bonjour", "fr", "bɔ̃ʒˈuʁ"),
        ("bonjour à 8h", "fr", "bɔ̃ʒˈuʁ a yˈit ˈœʁ"),
    ],
)
def test_known_readings(espeak, text: str, language: str, expected: str):
    assert "".join(espeak.phonemize([text], language)[0]) == "".join(split_symbols(expected))


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("I saw a dog.", "en", "aɪ sˈɔː ɐ dˈɑːɡ."),
        ("He ate the apple.", "en", "hiː ˈeɪt ðɪ ˈæpəl."),
        ("What are you going to do with it?", "en", "wˌʌt ɑːɹ juː ɡˌoʊɪŋ tə dˈuː wɪð ɪt?"),
        ("les enfants ont un ami", "fr", "lez ɑ̃fˈɑ̃z ˈɔ̃t œ̃n amˈi"),
        ("vous avez un petit enfant", "fr", "vuz avˈez œ̃ pətˈit ɑ̃fˈɑ̃"),
        ("Er ist im Haus und am Meer.", "de", "ɛɾ ɪst ɪm hˈaʊs ʊnt am mˈeːɾ."),
    ],
)
def test_words_are_read_in_their_sentence(espeak, text: str, language: str, expected: str):
    assert "".join(espeak.phonemize([text], language)[0]) == "".join(split_symbols(expected))


@pytest.mark.parametrize(
    ("text", "language", "ends"),
    [
        ("Pi is 3.14.", "en", "pɔɪnt wˈʌn fˈɔːɹ."),
        ("It costs $1,234.50. Good.", "en", "fˈɪfti sˈɛnts. ɡˈʊd."),
        ("He is 6.5, she is 5.5.", "en", "fˈaɪv pɔɪnt fˈaɪv."),
        ("Das sind 3,5.", "de", "dɾˈaɪ kɔmɑː fˈʏnf."),
        ("C'est 3,5, ou 12:30.", "fr", "tʁˈɑ̃t."),
        ('"No," he said (at 12:30): yes! . . .', "en", "jˈɛs! . . ."),
    ],
)
def test_nothing_is_lost_at_a_mark(espeak, text: str, language: str, ends: str):
    symbols = "".join(espeak.phonemize([text], language)[0])
    assert symbols.endswith("".join(split_symbols(ends)))


@pytest.mark.parametrize("language", ["en", "de", "fr", "ko"])
def test_every_clause_of_a_sentence_is_read_as_alone(espeak, language: str):
    clauses = {"en": "I saw it", "de": "ich war da", "fr": "il est là", "ko": "안녕하세요"}
    alone = "".join(espeak.phonemize([clauses[language]], language)[0])
    for mark in ", ", ". ", "! ", "? ", "; ", ": ", " — ", "… ", " (", ") ":
        joined = mark.join([clauses[language]] * 3)
        assert "".join(espeak.phonemize([joined], language)[0]) == mark.join([alone] * 3)


def test_pictures_are_not_called_by_their_names(espeak):
    (symbols,) = espeak.phonemize(["Hello 😀 ♪ 5°."], "en")
    assert phoneme_table().unknown(symbols) == ["😀", "♪"]
    assert "".join(symbols).startswith("həlˈoʊ fˈaɪv dᵻɡɹˈiː")


@pytest.mark.parametrize(
    ("written", "read"),
    [("one\0two", "one two"), ("co\u00adope\u200drate", "cooperate"), ("20 ℃", "20 degrees Celsius"), ("5 ㎏", "5 kg")],
)
def test_characters_that_are_not_read_end_nothing(espeak, written: str, read: str):
    assert espeak.phonemize([written], "en") == espeak.phonemize([read], "en")


def test_half_a_surrogate_pair_is_an_unknown_symbol(espeak):
    (symbols,) = espeak.phonemize(["one \udc80 two"], "en")
    assert phoneme_table().unknown(symbols) == ["\ufffd"]


@pytest.mark.parametrize("piece", [" ", "\n", "-", " -", "—", ".", "“", "１", "½", "²", "a"])
def test_a_megabyte_of_one_piece_is_normalised(piece: str):
    # Runs of white space with a dash to look for took the square of their length.
    once = normalise(piece * 1_000_000)
    assert len(once) <= 3_000_000
    assert normalise(once[:1000]) == once[:1000].strip()


def test_a_megabyte_of_another_script_is_found():
    assert (wrong_script("да " * 333_333, "en") or "").startswith("666666 letters")
    assert wrong_script("words " * 166_666, "en") is None


def test_threads_share_one_espeak(espeak):
    expected = {language: espeak.phonemize(TEXTS[language], language) for language in LANGUAGES}
    wrong: list[str] = []

    def read(language: str) -> None:
        if any(espeak.phonemize(TEXTS[language], language) != expected[language] for _ in range(5)):
            wrong.append(language)

    threads = [threading.Thread(target=read, args=(language,)) for language in LANGUAGES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_language_without_a_voice_is_refused(espeak):
    with pytest.raises(ConfigurationError, match="'es'"):
        espeak.phonemize(["hola"], "es")
    with pytest.raises(ConfigurationError, match="espeak"):
        open_phonemizer("other")


def test_a_symbol_is_a_letter_with_its_marks_and_stress_length_tone_stand_alone():
    assert split_symbols("ɔ̃ː kʲ  ˈä2 ") == ["ɔ̃", "ː", " ", "kʲ", " ", "ˈ", "a\u0308", "2"]
    assert split_symbols("ç") == ["ç"]
    assert split_symbols("") == []


def test_the_fixed_symbols_come_first_and_the_table_fits_a_byte():
    table = phoneme_table()
    assert table.symbols[:5] == ("<unk>", "<bos>", "<eos>", "<mask>", " ")
    assert len(table) == len(set(table.symbols)) < 256


def test_the_numbers_of_the_table_never_change():
    # Checkpoints know numbers: the table may grow at its end, and these must stay.
    table = phoneme_table()
    assert table.encode(["a", "ˈ", "ŋ", "ɔ̃", "."]) == [1, 26, 16, 56, 144, 6, 2]
    assert table.symbols[193] == "ɡʷ"


def test_encoding_and_decoding_are_inverse_and_unknown_symbols_are_visible():
    table = phoneme_table()
    assert table.decode(table.encode(["h", "ə", " ", "l"])) == ["h", "ə", " ", "l"]
    assert table.unknown(["a", "☃", "☃"]) == ["☃", "☃"]
    assert table.encode(["☃"]) == [1, 0, 2]
    assert table.decode([1, 0, 2]) == ["<unk>"]


def test_a_table_is_one_symbol_a_line(tmp_path: Path):
    (tmp_path / "t.txt").write_text("<unk>\n<bos>\n<eos>\n<mask>\n<space>\na\n", encoding="utf-8")
    table = read_table(tmp_path / "t.txt")
    assert table.encode(["a", " "]) == [1, 5, 4, 2]
    with pytest.raises(AssertionError, match="twice"):
        PhonemeTable((*table.symbols, "a"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“Hello” – she  said…\n", '"Hello" — she said…'),
        ("Well -- no", "Well — no"),
        ("well-known", "well-known"),
        ("你好，世界。真的？", "你好, 世界. 真的?"),
        ("Dr. Who met Mr. X.", "Dr. Who met Mr. X."),
        ("1½ m², №5", "1 1⁄2 m^2, No. 5"),
        ("ｆｕｌｌ　ｗｉｄｔｈ！", "full width!"),
        ("１，２３４．５　１２：３０", "1,234.5 12:30"),
        ("−5 —— oh", "-5 — oh"),
    ],
)
def test_text_is_normalised_and_numbers_are_left_to_espeak(text: str, expected: str):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "language", "is_wrong"),
    [
        ("Grüße aus Köln", "de", False),
        ("Привет", "de", True),
        ("かんじ", "ja", False),
        ("漢字", "ja", False),
        ("々", "ja", False),
        ("한국", "ja", True),
        ("你好 Python", "zh", False),
        ("Python", "zh", True),
        ("안녕", "ko", False),
        ("こんにちは", "ko", True),
        ("1984!", "zh", False),
        ("5 μm, 3 kΩ, Δt, 2πr and β-carotene", "en", False),
        ("β胡萝卜素", "zh", False),
        ("ο κόσμος", "en", True),
        ("θɹˈi", "en", True),
        ("lˈɛŋθ", "en", True),
    ],
)
def test_the_script_must_fit_the_language(text: str, language: str, is_wrong: bool):
    assert (wrong_script(text, language) is not None) == is_wrong
