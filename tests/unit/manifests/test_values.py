"""Values of any JSON type: converted where the meaning is certain, kept as they are otherwise."""

import math

import pytest

from manifests.reading.languages import language_of, read_language
from manifests.reading.sidecar import parse_json
from manifests.reading.transcripts import is_no_speech, lower_capitals, write_punctuation
from manifests.reading.values import MetadataValues, clean, label_of, number_of, spans_of, text_of


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        ("3.3", 3.3),
        (" -1e2 ", -100.0),
        ([2.5], 2.5),
        (".5", 0.5),
        ("3,3", None),
        ("1_0", None),
        ("nan", None),
        ("", None),
        (True, None),
        (math.inf, None),
        (10**400, None),
        ("9" * 400, None),
        ([1, 2], None),
        ({}, None),
        (None, None),
        ("٣", 3.0),
    ],
)
def test_numbers(value, number):
    assert number_of(value) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" a ", "a"),
        (5, "5"),
        (2.5, "2.5"),
        (["a"], "a"),
        (["a", "b"], None),
        ("", None),
        (True, None),
        (None, None),
        ({"a": 1}, None),
        (10**400, None),
        (math.nan, None),
        ("\ud800x", "?x"),
    ],
)
def test_texts(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize(("value", "label"), [(7, "7"), (7.0, "7"), (7.5, "7.5"), (["s1"], "s1"), (True, None)])
def test_labels(value, label):
    assert label_of(value) == label


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("eng", "en"),
        ("English", "en"),
        ("en-US", "en"),
        ("en_GB", "en"),
        ("ger", "de"),
        ("deu", "de"),
        ("Deutsch", "de"),
        ("German", "de"),
        ("zh-CN", "zh"),
        ("cmn", "zh"),
        ("Mandarin", "zh"),
        ("中文", "zh"),
        ("日本語", "ja"),
        ("jp", "ja"),
        ("kr", "ko"),
        ("cn", "zh"),
        ("한국어", "ko"),
        ("Français", "fr"),
        ("francais", "fr"),
        ("Danish", "da"),
        ("Svenska", "sv"),
        ("Latin", "la"),
        ("yue", "yue"),
        (["en"], "en"),
        ("English (US)", "en"),
        ("Multilingual", "und"),
        ("xx", "und"),
        ("x" * 999, "und"),
        (7, "und"),
        ({}, "und"),
        (None, None),
        ("", None),
        (" ", None),
        ([], None),
        (["en", "de"], "und"),
        ("und", "und"),
        ("mul", "und"),
    ],
)
def test_languages(value, code):
    assert language_of(value) == code


def test_what_a_column_cannot_tell_stays_in_the_rest():
    values = MetadataValues({"a": "1.5", "b": "high", "c": None, "language": "pt-BR", "d": 1, "other": "deu"})
    assert (values.get("a", number_of), values.get("b", number_of), values.get("c", number_of)) == (1.5, None, None)
    assert (read_language(values, "language"), read_language(values, "other")) == ("pt", "de")
    assert values.rest == {"b": "high", "c": None, "language": "pt-BR", "d": 1}
    assert values.faults == ["b was not understood"]


def test_spans():
    assert [(span.start, span.end) for span in spans_of([[0, "1.5"], [-1, 0.5], [2, 9], [5, 6]], 3.0)] == [
        (0.0, 1.5),
        (0.0, 0.5),
        (2.0, 3.0),
    ]
    assert spans_of([[0, 10**400]], 3.0) is None


def test_nesting_has_a_limit():
    value = 1
    for _ in range(100):
        value = [value]
    assert clean(value) == value
    with pytest.raises(ValueError, match="levels deep"):
        clean([value])
    assert parse_json(b'{"x": ' + b"[" * 600 + b"]" * 600 + b"}").fault.startswith("sidecar is not JSON")


def test_transcripts_of_gigaspeech_become_ordinary_text():
    assert write_punctuation("WELL <COMMA> IS IT <QUESTIONMARK> YES <PERIOD>") == "WELL, IS IT? YES."
    assert is_no_speech(" <MUSIC> ") and not is_no_speech("MUSIC")
    assert lower_capitals(["HELLO THERE,", None, "ALL OF YOU."]) == ["hello there,", None, "all of you."]
    assert lower_capitals(["NASA."]) == ["NASA."]
    assert lower_capitals(["HELLO THERE, ALL OF YOU.", "Mixed case."]) == ["HELLO THERE, ALL OF YOU.", "Mixed case."]
