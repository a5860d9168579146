"""Marked-up text: spans, pauses, refusals, and the lexicon."""

import pytest

from valle.text.lexicon import find_lexicon, read_lexicon
from valle.text.markup import MarkedSpan, Pause, parse_markup
from warehouse.errors import ConfigurationError

GOOD = [
    ("3 < 4 & a <- b [sic] [1]", [MarkedSpan("3 < 4 & a <- b [sic] [1]")]),
    ("a [[həlˈoʊ]] b", [MarkedSpan("a "), MarkedSpan("həlˈoʊ", ipa="həlˈoʊ"), MarkedSpan(" b")]),
    ("a[0.5s]b[200ms]", [MarkedSpan("a"), Pause(0.5), MarkedSpan("b"), Pause(0.2)]),
    (
        '<speak>a<break time="1s"/><break strength="weak"/><break/></speak>',
        [MarkedSpan("a"), Pause(1), Pause(0.2), Pause(0.4)],
    ),
    ('<break time="1s"></break>a &amp; b', [Pause(1), MarkedSpan("a & b")]),
    ("<sub alias='doctor'>Dr</sub> No", [MarkedSpan("doctor"), MarkedSpan(" No")]),
    ('<phoneme alphabet="ipa" ph="/nˈoʊ/">No</phoneme>', [MarkedSpan("No", ipa="nˈoʊ")]),
    ('<say-as interpret-as="characters">aB1</say-as>', [MarkedSpan("A, B, 1")]),
    ('<say-as interpret-as="telephone">03-41</say-as>', [MarkedSpan("0 3 4 1")]),
    ('<say-as interpret-as="ordinal">21</say-as>', [MarkedSpan("twenty-first")]),
    ('<lang xml:lang="de-DE"><say-as interpret-as="ordinal">3</say-as></lang>', [MarkedSpan("dritte", language="de")]),
    (
        'a<prosody rate="80%">b<prosody rate="fast">c</prosody></prosody>',
        [MarkedSpan("a"), MarkedSpan("b", rate=0.8), MarkedSpan("c", rate=1)],
    ),
]

BAD = [
    ("<b>a</b>", "The tag <b> is not supported; use break, lang, phoneme, prosody, say-as, speak, sub."),
    ("a <brea", "The tag '<brea' has no end"),
    ('<prosody rate="slow">a', "The tag <prosody> is not closed; add </prosody>."),
    ('<lang xml:lang="de"><sub alias="b">a</lang></sub>', "The tag </lang> closes no open tag"),
    ("</sub>", "closes no open tag"),
    ("<sub>a</sub>", 'The tag <sub> needs alias="..."'),
    ('<sub alias="b"><lang xml:lang="de">a</lang></sub>', "whose text is replaced"),
    ('<prosody rate="slow" pitch="high">a</prosody>', "supports rate, not pitch"),
    ('<prosody rate="9">a</prosody>', "out of range; use 25% to 400%"),
    ('<prosody rate="quick">a</prosody>', "The rate 'quick' is none of"),
    ('<break time="long"/>', "write 500ms or 0.5s"),
    ('<break strength="huge"/>', "none of none, x-weak"),
    ("[99s]", "A pause of 99 s is too long; at most 10 s"),
    ("[[ ]]", "no phonemes between the marks"),
    ('<phoneme alphabet="x-sampa" ph="a">a</phoneme>', "'x-sampa' is not supported; write ipa"),
    ('<say-as interpret-as="date">1</say-as>', "The interpretation 'date' is not supported"),
    ('<say-as interpret-as="ordinal">one</say-as>', "'one' is no whole number"),
    ('<sub alias="a"/>', "has no text"),
]


@pytest.mark.parametrize(("text", "spans"), GOOD)
def test_markup_becomes_spans(text, spans):
    assert parse_markup(text, "en") == spans


@pytest.mark.parametrize(("text", "message"), BAD)
def test_anything_else_is_refused_in_a_sentence(text, message):
    with pytest.raises(ConfigurationError) as refused:
        parse_markup(text, "en")
    assert message in str(refused.value)


def test_a_lexicon_replaces_whole_words_of_its_language(tmp_path):
    path = tmp_path / "lexicon.tsv"
    path.write_text("# names\nValle\tvˈæl\nNew York\tnuːjˈɔːk\ntag\ttˈɑːk\tde\n", encoding="utf-8")
    lexicon = read_lexicon(path)
    assert find_lexicon(None, tmp_path) == lexicon
    applied = lexicon.apply(parse_markup("VALLE, valley, new york tag [[a]]", "en"), "en")
    assert applied == [
        MarkedSpan("VALLE", ipa="vˈæl"),
        MarkedSpan(", valley, "),
        MarkedSpan("new york", ipa="nuːjˈɔːk"),
        MarkedSpan(" tag "),
        MarkedSpan("a", ipa="a"),
    ]
    assert lexicon.apply([MarkedSpan("Tag")], "de") == [MarkedSpan("Tag", ipa="tˈɑːk")]


def test_a_malformed_lexicon_names_its_line(tmp_path):
    path = tmp_path / "lexicon.tsv"
    assert find_lexicon(None, tmp_path).entries == {}
    path.write_text("a\tb\nword\n")
    with pytest.raises(ConfigurationError, match=r"Line 2 of .* is not a word, a tab and its IPA"):
        find_lexicon(None, tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_lexicon(tmp_path / "none.tsv")
