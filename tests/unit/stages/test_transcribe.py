from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.unit.stages.inputs import backends_with, noise, rows_of, work_item
from valle.audio import Samples
from valle.backends.transcription import Transcription, compression_ratio
from valle.stages.base import Drop, WorkItem
from valle.stages.outcomes import stamp
from valle.stages.transcribe import Transcribe
from warehouse.lake.arrow import to_table
from warehouse.rows import TranscriptRow


def heard(text: str, **changes: object) -> Transcription:
    plain = Transcription(text, "en", None, -0.2, 0.05, compression_ratio(text))
    return replace(plain, **changes)  # type: ignore[arg-type]


class Parrot:
    """Returns given transcriptions, by the length of the clip; `careful` ones come from a second mapping."""

    def __init__(
        self,
        says: dict[int, Transcription],
        careful: dict[int, Transcription] | None = None,
        *,
        multilingual: bool = False,
    ):
        self.says, self.careful, self.is_multilingual = says, careful or {}, multilingual
        self.calls: list[tuple[int, str | None, bool]] = []
        self.packed = 0

    def transcribe(
        self, waveforms: Sequence[Samples], language: str | None = None, *, careful: bool = False
    ) -> list[Transcription]:
        self.calls.append((len(waveforms), language, careful))
        book = self.careful if careful else self.says
        return [book.get(len(samples), self.says[len(samples)]) for samples in waveforms]

    def transcribe_packed(self, waveforms: Sequence[Samples], language: str | None = None) -> list[Transcription]:
        self.packed = len(waveforms)
        return self.transcribe(waveforms, language)


def run(stage: Transcribe, items: list[WorkItem], parrot: Parrot) -> list[TranscriptRow]:
    rows = rows_of(stage, items, backends_with(asr=("tiny.en", parrot)))
    assert [row.segment_id for row in rows] == [item.input.id for item in items]
    return rows


def test_what_was_heard_is_kept_with_its_confidences():
    item = work_item(noise(2.0))
    (row,) = run(Transcribe(), [item], Parrot({32_000: heard("A quiet evening by the sea.")}))
    assert row.drop_reason is None
    assert (row.text, row.asr_text, row.given_text) == (row.asr_text, "A quiet evening by the sea.", None)
    assert row.model.startswith("tiny.en@") and len(row.model) == len("tiny.en@") + 8
    assert row.average_logprob == -0.2
    assert row.characters_per_second == pytest.approx(21 / 2.0)


def test_a_given_text_is_used_and_compared():
    item = work_item(noise(2.0), text="A quiet morning by the sea")
    (row,) = run(Transcribe(), [item], Parrot({32_000: heard("A quiet evening by the sea.")}))
    assert (row.text, row.asr_text) == ("A quiet morning by the sea", "A quiet evening by the sea.")
    assert row.disagreement == pytest.approx(1 / 6)
    assert row.drop_reason is None


def test_a_text_of_another_clip_is_dropped_with_both_texts_kept():
    item = work_item(noise(2.0), text="Something else entirely was said")
    (row,) = run(Transcribe(), [item], Parrot({32_000: heard("A quiet evening by the sea.")}))
    assert row.drop_reason == "disagrees"
    assert row.asr_text and row.given_text and row.disagreement > 0.5


@pytest.mark.parametrize("text", ["...", "♪ ♪", "Привет, мир", "你好世界"])
def test_a_given_text_without_a_letter_of_its_language_is_dropped_and_its_neighbours_stay(text: str):
    parrot = Parrot({32_000: heard("A quiet evening by the sea."), 48_000: heard("All was well that day in town.")})
    items = [work_item(noise(2.0), text=text), work_item(noise(3.0), id="t")]
    for stage in (Transcribe(), Transcribe(check_given=False)):
        rows = run(stage, items, parrot)
        assert [row.drop_reason for row in rows] == ["empty", None]
        assert text in (rows[0].drop_detail or "")
        assert rows[0].given_text == text
    assert (1, "en", True) not in parrot.calls  # to transcribe again would not help


@pytest.mark.parametrize(
    ("given", "transcribed", "language"),
    [
        ("OK, OK, OK.", "Okay, okay, okay.", "en"),
        ("colour, theatre, don't", "color theater do not", "en"),
        ("12 und 25 und 31", "Zwölf und fünfundzwanzig und einunddreißig", "de"),
        ("漢語學習很有意思", "汉语学习很有意思", "zh"),
    ],
)
def test_a_text_that_is_only_spelled_otherwise_is_kept(given: str, transcribed: str, language: str):
    item = work_item(noise(2.0), text=given, language=language)
    parrot = Parrot({32_000: heard(transcribed, language=language)}, multilingual=True)
    (row,) = run(Transcribe(), [item], parrot)
    assert (row.drop_reason, row.text) == (None, given)
    assert row.disagreement is not None and row.disagreement <= 0.25


def test_a_faulty_transcript_is_heard_once_more_and_the_better_one_wins():
    loop = heard("the view of the view of the view of the view of")
    parrot = Parrot(
        {32_000: loop, 48_000: heard("All was well that day in town.")}, {32_000: heard("The view of the sea.")}
    )
    rows = run(Transcribe(), [work_item(noise(2.0)), work_item(noise(3.0), id="t")], parrot)
    assert [row.text for row in rows] == ["The view of the sea.", "All was well that day in town."]
    assert [row.drop_reason for row in rows] == [None, None]
    assert parrot.calls == [(2, "en", False), (1, "en", True)]


def test_a_transcript_that_stays_faulty_is_dropped():
    parrot = Parrot({32_000: heard("Thank you.", no_speech_probability=0.9)})
    (row,) = run(Transcribe(), [work_item(noise(2.0))], parrot)
    assert row.drop_reason == "stock_phrase"
    assert parrot.calls[-1] == (1, "en", True)


def test_without_recheck_nothing_is_heard_twice():
    parrot = Parrot({32_000: heard("")})
    (row,) = run(Transcribe(recheck=False), [work_item(noise(2.0))], parrot)
    assert row.drop_reason == "no_text"
    assert len(parrot.calls) == 1


def test_each_declared_language_is_one_call_and_rows_keep_their_order():
    book = {
        length: heard("Das ist gut so.", language="de", language_probability=0.9) for length in (16_000, 16_001, 16_002)
    }
    items = [
        work_item(noise(1)[:16_000], id="a", language="de"),
        work_item(noise(2)[:16_001], id="b", language=None),
        work_item(noise(2)[:16_002], id="c", language="de"),
    ]
    parrot = Parrot(book, multilingual=True)
    rows = run(Transcribe(), items, parrot)
    assert sorted(call[0] for call in parrot.calls) == [1, 2]
    assert [row.drop_reason for row in rows] == [None] * 3


def test_another_language_than_declared_is_dropped_and_not_heard_twice():
    parrot = Parrot({32_000: heard("Guten Abend zusammen.", language_probability=0.03)}, multilingual=True)
    (row,) = run(Transcribe(), [work_item(noise(2.0))], parrot)
    assert row.drop_reason == "wrong_language"
    assert len(parrot.calls) == 1


def test_a_language_that_nobody_asked_for_is_dropped():
    parrot = Parrot(
        {32_000: heard("Buenas tardes a todos.", language="es", language_probability=0.9)}, multilingual=True
    )
    (row,) = run(Transcribe(), [work_item(noise(2.0), language=None)], parrot)
    assert row.drop_reason == "wrong_language"
    (row,) = run(Transcribe(), [work_item(noise(2.0), language="es")], parrot)
    assert row.drop_reason == "wrong_language"


def test_an_english_only_model_keeps_given_texts_of_other_languages_unheard():
    parrot = Parrot({})
    rows = run(
        Transcribe(),
        [
            work_item(noise(2.0), id="a", language="de", text="Das ist gut so."),
            work_item(noise(2.0), id="b", language="de"),
        ],
        parrot,
    )
    assert (rows[0].model, rows[0].asr_text, rows[0].drop_reason) == ("given", None, None)
    assert rows[1].drop_reason == "wrong_language"
    assert parrot.calls == []


def test_trusted_texts_need_no_model_at_all():
    rows = rows_of(Transcribe(check_given=False), [work_item(noise(2.0), text="All is well here.")], backends_with())
    assert (rows[0].text, rows[0].model, rows[0].asr_text) == ("All is well here.", "given", None)


def test_a_given_text_far_too_long_for_its_clip_is_dropped():
    long = "word after word after word, " * 20
    (row,) = rows_of(Transcribe(check_given=False), [work_item(noise(1.0), text=long)], backends_with())
    assert row.drop_reason == "implausible_rate"


def test_a_segment_whose_audio_cannot_be_read_has_a_row_without_payload():
    (row,) = stamp(Transcribe(), work_item(noise(1.0)).input, Drop("truncated", "half of it"))
    assert to_table(TranscriptRow, [row]).num_rows == 1
    assert (row.drop_reason, row.text, row.model) == ("truncated", None, None)


def test_the_revision_names_model_and_weights_and_options_do_not_load_it():
    assert Transcribe().revision.startswith("tiny.en@")


def test_packing_is_asked_for_and_changes_no_fingerprint_where_it_is_off():
    for packing, expected in (("off", 0), ("auto", 2)):
        parrot = Parrot({32_000: heard("A quiet evening by the sea.")})
        run(Transcribe(packing=packing), [work_item(noise(2.0)), work_item(noise(2.0), id="two")], parrot)
        assert parrot.packed == expected
    assert "packing" not in Transcribe().effective_options
    assert Transcribe(packing="auto").configuration != Transcribe().configuration
