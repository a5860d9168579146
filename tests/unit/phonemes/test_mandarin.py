import sys

import pytest

from valle.phonemes import mandarin as mandarin_module
from valle.phonemes import open_phonemizer, phoneme_table, phonemizer_revision
from valle.phonemes.mandarin import _FINALS, _HUMMED, _INITIALS, MandarinPhonemizer
from valle.phonemes.symbols import split_symbols
from valle.phonemes.written.mandarin import verbalise
from warehouse.errors import DependencyError


@pytest.fixture(scope="module")
def reader():
    return open_phonemizer("espeak")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("妈麻马骂吗", "ma1ma2ma3ma4ma5"),
        ("你好，今天天气怎么样？", "ni2xau3, tɕin1tʰiɛn1tʰiɛn1tɕʰi4tsən3mɤ5iɑŋ4?"),
        ("银行行长", "in2xɑŋ2xɑŋ2ʈʂɑŋ3"),
        ("重要的重量", "ʈʂʊŋ4iau4tɤ5ʈʂʊŋ4liɑŋ4"),
        ("給我電腦", "kei2uo3tiɛn4nau3"),
        ("漢語學習", "xan4y3ɕyɛ2ɕi2"),
        ("汉语学习", "xan4y3ɕyɛ2ɕi2"),
        ("吃纸四次日出", "ʈʂʰɻ̩1ʈʂɻ̩3sɹ̩4tsʰɹ̩4ʐɻ̩4ʈʂʰu1"),
        ("女儿去哪儿", "ny3ɚ2tɕʰy4na3ɚ2"),
        ("不是。", "pu2ʂɻ̩4."),
        ("“你好”，他说（笑）。", '"ni2xau3", tʰa1ʂuo1(ɕiau4).'),
        ("嗯，月光", "n̩2, yɛ4kuɑŋ1"),
        ("我用 Python 3", "uo3iʊŋ4 pˈaɪθən san1"),
        ("２０２３年５月", "ɚ4liŋ2ɚ4san1niɛn2u3yɛ4"),
        ("他说 I have a dog", "tʰa1ʂuo1 aɪ hæv ɐ dˈɑːɡ"),
    ],
)
def test_known_sentences_have_their_readings(reader, text: str, expected: str):
    (symbols,) = reader.phonemize([text], "zh")
    assert symbols == split_symbols(expected)
    assert phoneme_table().unknown(symbols) == []


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("0 7 10 11 20", "零 七 十 十一 二十"),
        ("100 101 110 111", "一百 一百零一 一百一十 一百一十一"),
        ("1001 1010 1234", "一千零一 一千零一十 一千二百三十四"),
        ("10000 10001 10100 11000", "一万 一万零一 一万零一百 一万一千"),
        ("120034 1000000", "十二万零三十四 一百万"),
        ("12345678", "一千二百三十四万五千六百七十八"),
        ("100,000,000 1,000,001,000", "一亿 十亿零一千"),
        ("2023年5月3日", "二零二三年五月三日"),
        ("2021/05/03", "二零二一年五月三日"),
        ("2个 12个", "两个 十二个"),
        ("3.5公里 50% 3/4 -5度", "三点五公里 百分之五十 四分之三 负五度"),
        ("12:30 2:05", "十二点三十分 两点零五分"),
        ("13800138000 007", "一三八零零一三八零零零 零零七"),
        ("$5 ¥100 10-20人", "五美元 一百元 十到二十人"),
    ],
)
def test_numbers_are_read_by_value_years_and_telephones_by_digit(text: str, spoken: str):
    assert verbalise(text) == spoken


@pytest.mark.parametrize(
    ("text", "tones"),
    [
        ("一张纸", "413"),  # the phrases of pypinyin's dictionary are 一, 张, 纸
        ("一个人一天一起一本", "242414343"),
        ("第一天", "411"),
        ("唯一一个", "2124"),
        ("统一的", "315"),
        ("星期一下午", "11143"),
        ("一九八四", "1314"),
        ("一百一十一", "43121"),
        ("一万一千", "2441"),
        ("一月一号", "1414"),
        ("十一点", "213"),
        ("看一看", "454"),
        ("三分之一", "1111"),
        ("不是不好不对", "244324"),
        ("差不多", "451"),
        ("老虎很好", "2323"),
        ("我也很好", "2323"),
        ("我很好", "323"),
        ("展览馆", "223"),
        ("小老虎", "323"),
        ("你好你好", "2323"),
        ("给我电脑", "2343"),
        ("老虎，很好", "2323"),
    ],
)
def test_tones_change_across_the_phrases_of_the_dictionary(reader, text: str, tones: str):
    (symbols,) = reader.phonemize([text], "zh")
    assert "".join(symbol for symbol in symbols if symbol in "12345") == tones


def test_characters_without_a_reading_stay_in_the_symbols(reader):
    assert phoneme_table().unknown(reader.phonemize(["𠮷野家5#，😀"], "zh")[0]) == ["𠮷", "#", "😀"]


def test_every_reading_of_the_dictionary_has_symbols_of_the_table():
    from pypinyin.constants import PINYIN_DICT
    from pypinyin.contrib.tone_convert import to_tone3

    readings = {reading for readings in PINYIN_DICT.values() for reading in readings.split(",")}
    for reading in readings:
        symbols = mandarin_module._ipa(to_tone3(reading, neutral_tone_with_five=True))
        assert phoneme_table().unknown(symbols) == []
        assert symbols[-1] in "12345"
    assert len(readings) > 1400
    sounds = [*_INITIALS.values(), *_FINALS.values(), *_HUMMED.values()]
    assert phoneme_table().unknown([symbol for sound in sounds for symbol in split_symbols(sound)]) == []


def test_a_missing_reader_is_one_sentence_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypinyin", None)
    with pytest.raises(DependencyError, match="run `pip install pypinyin`"):
        MandarinPhonemizer(lambda words: []).phonemize(["你好"])

    def nothing_installed(name: str) -> str:
        raise mandarin_module.PackageNotFoundError(name)

    monkeypatch.setattr(mandarin_module, "version", nothing_installed)
    with pytest.raises(DependencyError, match="run `pip install pypinyin`"):
        phonemizer_revision("espeak", "zh")
