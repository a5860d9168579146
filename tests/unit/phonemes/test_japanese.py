import re
import sys

import pytest

from valle.phonemes import japanese as japanese_module
from valle.phonemes import open_phonemizer, phoneme_table, phonemizer_revision, wrong_script
from valle.phonemes.japanese import _SOUNDS, JapanesePhonemizer
from valle.phonemes.symbols import split_symbols
from warehouse.errors import DependencyError

# Devoiced vowels are written like the voiced ones.
ROMAJI = {
    **{"dʑ": "j", "tɕ": "ch", "ɕ": "sh", "ɡʲ": "gy", "kʲ": "ky", "nʲ": "ny", "bʲ": "by", "pʲ": "py", "mʲ": "my"},
    **{"ɽʲ": "ry", "tʲ": "ty", "dʲ": "dy", "ç": "hy", "ɸ": "f", "ɡ": "g", "ɽ": "r", "j": "y", "ɴ": "n", "ŋ": "n"},
    **{"ä": "a", "e̞": "e", "o̞": "o", "ɯᵝ": "u", "ɯ̥": "u", "i̥": "i", "ʔ": "'"},
}

READINGS = [
    ("今日は東京へ行きました。", "kyoowa tookyooe ikimashita."),
    ("私は学校で本を読んだ。", "watashiwa gakkoode hono yonda."),
    ("お母さんは、部屋へ行った。", "okaasanwa, heyae itta."),
    ("こんばんは。", "kombanwa."),
    ("彼は大人気ない。", "karewa otonagenai."),
    ("一人で十分です。", "hitoride juubundesu."),
    ("明日の天気は？", "ashitano tenkiwa?"),
    ("生ビールを飲む。", "namabiiruo nomu."),
    ("日本語は難しい！", "nihongowa muzukashii!"),
    ("佐々木さんと高橋さん", "sasakisanto takahashisan"),
    ("京都、大阪、北海道、鹿児島、御茶ノ水", "kyooto, oosaka, hokkaidoo, kagoshima, ochanomizu"),
    ("富士山と琵琶湖", "fujisanto biwako"),
    ("人々は新しい時代を待つ。", "hitobitowa atarashii jidaio matsu."),
    ("1,234円です。", "sen nihyaku sanjuu yoendesu."),
    ("１，２３４円です。", "sen nihyaku sanjuu yoendesu."),
    ("2023年5月3日", "nisen nijuu sannen gogatsu mikka"),
    ("3.14は円周率です。", "santen ichiyonwa enshuuritsudesu."),
    ("鉛筆を三本と紙を六枚", "empitsuo sambonto kamio rokumai"),
    ("1人、2人、3人", "hitori, futari, sannin"),
    ("午後12:30に会う。", "gogo juuniji sanjuppunni au."),
    ("気温は-5°Cです。", "kionwa mainasu gododesu."),
    ("$5か€3か¥100", "godoruka sanyuuroka hyakuen"),
    ("10〜20人", "juukara nijuunin"),
    ("50%の確率", "gojuppaasentono kakuritsu"),
    ("ｶﾀｶﾅとﾊﾝｶｸ", "katakanato hankaku"),
    ("ヴァイオリンとパーティー", "vaiorinto paatii"),
    ("AIとDNA", "eeaito diienuei"),
    ("Tシャツを着る", "tiishatsuo kiru"),
    ("えーっと、んー…", "eetto, nn…"),
    ("「はい」と彼女は言った。", '"hai" to kanojowa itta.'),
    ("東京（とうきょう）です", "tookyoo (tookyoo) desu"),
    ("きゃりーぱみゅぱみゅは、ちょっとびょういんへ いった！", "kyariipamyupamyuwa, chotto byooine itta!"),
    ("ｶﾞｯﾂだ！すごい〜", "gattsuda! sugoii"),
]


@pytest.fixture(scope="module")
def reader():
    return open_phonemizer("espeak")


def romaji(symbols: list[str]) -> str:
    spelling = {"".join(split_symbols(ipa)): latin for ipa, latin in ROMAJI.items()}
    pattern = "|".join(sorted(map(re.escape, spelling), key=len, reverse=True))
    return re.sub(pattern, lambda ipa: spelling[ipa[0]], "".join(symbols)).replace("hyi", "hi")


@pytest.mark.parametrize(("text", "reading"), READINGS)
def test_known_sentences_have_their_readings(reader, text: str, reading: str):
    (symbols,) = reader.phonemize([text], "ja")
    assert romaji(symbols) == reading
    assert wrong_script(text, "ja") is None
    assert phoneme_table().unknown(symbols) == []


def test_high_vowels_between_voiceless_consonants_lose_their_voice(reader):
    (symbols,) = reader.phonemize(["行きました"], "ja")
    assert symbols == split_symbols("ikimäɕi̥tä")


def test_the_table_holds_every_sound_of_the_reader():
    import haqumei

    # What the options in use never give: allophones of the nasal and the obstruent, and pauses.
    optional = {phoneme for phoneme in haqumei.ALL_PHONEMES if phoneme[0] in "N" or phoneme.startswith("cl")}
    assert set(haqumei.ALL_PHONEMES) - optional - {"sp", "pau", "unk"} == set(_SOUNDS)
    sounds = [symbol for sound in [*_SOUNDS.values(), *"ɴʔŋ"] for symbol in split_symbols(sound)]
    assert phoneme_table().unknown(sounds) == []


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("龘が出た。", ["龘"]),
        ("楽しい😀♪", ["😀", "♪"]),
        ("これは彁です。", ["彁"]),
        ("straßeへ", ["ß"]),
        ("5#", ["#"]),
    ],
)
def test_characters_without_a_reading_stay_in_the_symbols(reader, text: str, unread: list[str]):
    assert phoneme_table().unknown(reader.phonemize([text], "ja")[0]) == unread


def test_accents_of_latin_letters_do_not_swallow_the_letter(reader):
    assert reader.phonemize(["Caféへ"], "ja") == reader.phonemize(["Cafeへ"], "ja")


def test_a_missing_reader_is_one_sentence_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "haqumei", None)
    with pytest.raises(DependencyError, match="run `pip install haqumei`"):
        JapanesePhonemizer().phonemize(["東京"])

    def nothing_installed(name: str) -> str:
        raise japanese_module.PackageNotFoundError(name)

    monkeypatch.setattr(japanese_module, "version", nothing_installed)
    with pytest.raises(DependencyError, match="run `pip install haqumei`"):
        phonemizer_revision("espeak", "ja")
    assert "espeak@" in phonemizer_revision("espeak", "en")


def test_the_reader_of_japanese_is_part_of_the_revision():
    assert "haqumei@" in phonemizer_revision("espeak")
    assert phonemizer_revision("espeak", "ja").startswith("haqumei@")
    assert "haqumei" not in phonemizer_revision("espeak", "de")
