from collections.abc import Sequence

from tests.unit.stages.inputs import backends_with, noise, rows_of, work_item
from valle.audio import Samples
from valle.backends.alignment import TimedWord
from valle.stages.align import Align


class EvenAligner:
    """Gives each word a second; the confidence is the level of the clip."""

    is_multilingual = False

    def align(self, waveforms: Sequence[Samples], texts: Sequence[str], language: str) -> list[list[TimedWord]]:
        return [
            [TimedWord(word, float(i), i + 1.0, float(samples[0])) for i, word in enumerate(text.split())]
            for samples, text in zip(waveforms, texts, strict=True)
        ]


def clip(seconds: float, confidence: float, **changes: str | None):
    samples = noise(seconds)
    samples[0] = confidence
    return work_item(samples, **changes)


def rows(*items):
    return rows_of(Align(), items, backends_with(asr=("tiny.en", EvenAligner())))


def test_every_word_of_the_text_has_a_row_entry_with_its_time():
    (row,) = rows(clip(3.0, 0.75, text="one two three"))
    assert row.drop_reason is None and (row.num_words, row.confidence) == (3, 0.75)
    assert [(word.word, word.start, word.end) for word in row.words] == [("one", 0, 1), ("two", 1, 2), ("three", 2, 3)]


def test_what_cannot_be_aligned_is_a_row_with_its_reason_and_its_neighbours_stay():
    found = rows(
        clip(31.0, 1.0, id="long", text="word"),
        clip(1.0, 1.0, id="german", text="Wort", language="de"),
        clip(1.0, 1.0, id="empty", text=""),
        clip(1.0, 0.1, id="doubtful", text="word"),
        clip(1.0, 1.0, id="fine", text="word"),
    )
    assert {row.segment_id: row.drop_reason for row in found} == {
        "long": "too_long",
        "german": "unsupported_language",
        "empty": "unaligned",
        "doubtful": "misaligned",
        "fine": None,
    }
    assert next(row for row in found if row.segment_id == "doubtful").words[0].word == "word"
