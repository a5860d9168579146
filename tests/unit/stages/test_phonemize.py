from dataclasses import replace

import pytest

from tests.unit.stages.inputs import backends_with, rows_of, stage_input
from valle.backends.registry import Backends
from valle.phonemes import phoneme_table
from valle.stages.base import WorkItem
from valle.stages.phonemize import Phonemize
from warehouse.rows import PhonemeRow


def phonemized(
    text: str | None, language: str | None = "en", *, stage: Phonemize | None = None, **models: object
) -> PhonemeRow:
    item = WorkItem(replace(stage_input(text=text, language=language)), None)
    (row,) = rows_of(stage or Phonemize(), [item], backends_with(**models) if models else Backends())
    return row


def test_a_sentence_becomes_symbols_of_the_table():
    row = phonemized("Hello, world!")
    assert "".join(row.symbols or []) == "həlˈoʊ, wˈɜːld!"
    assert (row.num_symbols, row.num_unknown, row.unknown, row.drop_reason) == (len(row.symbols or []), 0, [], None)
    assert row.model.endswith(":en")
    assert phoneme_table().decode(phoneme_table().encode(row.symbols or [])) == row.symbols


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        (None, "en", "empty"),
        ("", "en", "empty"),
        (" ... — !", "en", "empty"),
        ("Привет, мир", "en", "wrong_script"),
        ("한국", "ja", "wrong_script"),
        ("hello there", "zh", "wrong_script"),
        ("hola amigo", "es", "unsupported_language"),
    ],
)
def test_text_that_cannot_be_read_is_dropped(text: str | None, language: str, reason: str):
    row = phonemized(text, language)
    assert (row.drop_reason, row.symbols) == (reason, None)
    assert row.drop_detail


def test_a_kanji_without_a_reading_drops_the_row_and_is_named():
    row = phonemized("龘が出た。", "ja")
    assert (row.drop_reason, row.num_unknown, row.unknown) == ("unknown_symbols", 1, ["龘"])


def test_symbols_outside_the_table_are_counted_named_and_dropped():
    class Alien:
        def phonemize(self, texts: list[str], language: str) -> list[list[str]]:
            return [["a", "☃", "b", "☃", "♫"] for _ in texts]

    row = phonemized("anything", phonemizer=("espeak", Alien()))
    assert (row.drop_reason, row.num_unknown, row.unknown) == ("unknown_symbols", 3, ["☃", "♫"])
    kept = phonemized("anything", stage=Phonemize(max_unknown=3), phonemizer=("espeak", Alien()))
    assert (kept.drop_reason, kept.num_unknown) == (None, 3)


def test_a_transcript_without_a_language_is_read_as_the_default_one():
    assert phonemized("gut", None, stage=Phonemize(default_language="de")).symbols == ["ɡ", "ˈ", "u", "ː", "t"]


def test_a_batch_of_languages_is_read_with_one_call_for_each():
    class Counting:
        def __init__(self) -> None:
            self.calls: list[tuple[str, list[str]]] = []

        def phonemize(self, texts: list[str], language: str) -> list[list[str]]:
            self.calls.append((language, list(texts)))
            return [["a"] * len(text) for text in texts]

    texts = [("one", "en"), ("zwei", "de"), ("...", "en"), ("three", None), ("Привет", "en")]
    items = [
        WorkItem(stage_input(id=str(place), text=text, language=language), None)
        for place, (text, language) in enumerate(texts)
    ]
    counting = Counting()
    rows = rows_of(Phonemize(), items, backends_with(phonemizer=("espeak", counting)))
    assert counting.calls == [("en", ["one", "three"]), ("de", ["zwei"])]
    assert [row.segment_id for row in rows] == ["0", "1", "2", "3", "4"]
    assert [(row.num_symbols, row.drop_reason) for row in rows] == [
        (3, None), (4, None), (0, "empty"), (5, None), (0, "wrong_script"),
    ]  # fmt: skip
