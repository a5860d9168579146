"""Phonemes as the program that trained imported weights computes them."""

import json

import pytest

from tests.unit.interchange.vall_e_files import FIXTURES
from valle.phonemes import PLAIN, open_phonemizer
from valle.phonemes.pieces import piece_table
from warehouse.errors import ConfigurationError


@pytest.fixture(scope="module")
def phonemizer():
    return open_phonemizer(PLAIN)


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Seven boats: ten!", "en", "sˈɛvən bˈoʊts: tˈɛn!"),
        ("fünf", "de", "fˈynf"),
        ("la bibliothèque", "fr", "la- bibliotˈɛk"),
        ("我想", "zh", "wˈoˉ ɕˈiɑˉŋ"),
    ],
)
def test_the_text_is_read_as_it_is(phonemizer, text, language, expected):
    found = "".join(phonemizer.phonemize([text], language)[0])
    assert found == expected


def test_japanese_is_read_in_hiragana(phonemizer):
    same = phonemizer.phonemize(["犬は白い。", "いぬはしろい。"], "ja")
    assert same[0] == same[1]


def test_an_unknown_language_is_refused(phonemizer):
    with pytest.raises(ConfigurationError, match="xx"):
        phonemizer.phonemize(["a"], "xx")


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the fixtures are not on this machine")
def test_texts_become_the_integers_of_the_original_program(phonemizer):
    """All but what another version of espeak-ng reads otherwise: words of Mandarin, and one English vowel."""
    content = json.loads((FIXTURES / "phonemes.json").read_text(encoding="utf-8"))
    table = piece_table(content["symbol_map"])
    others = [
        sentence["language"]
        for sentence in content["sentences"]
        if table.encode(phonemizer.phonemize([sentence["text"]], sentence["language"])[0]) != sentence["ids"]
    ]
    assert others.count("zh") == 10
    assert others.count("de") == others.count("fr") == others.count("ko") == 0
    assert others.count("en") <= 1
    assert others.count("ja") <= 3
