"""Make Lhotse's objects of the lake: recordings, and cuts of training items with their codes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.array import Array, TemporalArray
from lhotse.supervision import AlignmentItem

from manifests.lhotse_lines import AudioFacts, manifest_file, put_line, recording_line
from warehouse.model_rows import TrainingItemRow
from warehouse.rows import Word

CODES_STORAGE = "parquet_codes"
"""Storage type of codes in a cut; the reader of that name is registered by `valle.data.codes_reader`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesPlace:
    """Location of the codes of an item: the data file, and the numbers of the codec."""

    path: str
    num_codebooks: int
    frame_rate: float
    codec: str
    """Name and revision of the codec."""


def codes_cut(
    item: TrainingItemRow, facts: AudioFacts, codes: CodesPlace, words: Sequence[Word] = (), *, in_test: bool = False
) -> MonoCut:
    """Return the cut of a training item: its audio, its text, and its codes [T, Q] as the field `codes`.

    The supervision of a whole segment has `words` as its alignment `word`, where there are any. `in_test` marks an
    utterance that a split policy named for test.

    `cut.load_codes()` needs `valle.data.codes_reader` to be imported. The codes begin with the cut; a truncated cut
    loads the frames of its own span. Lhotse rounds the frames of a span: a last frame that is less than
    half filled is left out.
    """
    recording = Recording.from_dict(recording_line(item.recording_id, facts))
    first = item.codes_start or 0
    start = facts.start + first / codes.frame_rate
    duration = round(min(item.duration, recording.duration - start), 8)
    array = Array(
        storage_type=CODES_STORAGE,
        storage_path=codes.path,
        storage_key=f"{item.codes_row_group}:{item.codes_row}",
        shape=[first + item.num_frames, codes.num_codebooks],
    )
    return MonoCut(
        id=item.segment_id,
        start=start,
        duration=duration,
        channel=facts.channel or 0,
        recording=recording,
        supervisions=[
            SupervisionSegment(
                id=item.segment_id,
                recording_id=item.recording_id,
                start=0.0,
                duration=duration,
                text=item.text,
                speaker=item.speaker,
                language=item.language,
                alignment={"word": [_aligned(word) for word in words]} if words and not first else None,
                custom={"symbols": list(item.symbols), "licence": item.licence, "weight": item.weight},
            )
        ],
        custom={
            "codes": TemporalArray(array, temporal_dim=0, frame_shift=1 / codes.frame_rate, start=facts.start),
            "codec": codes.codec,
            "corpus": item.corpus,
            "split": item.split,
            "training_set": item.training_set,
            **({"in_test": True} if in_test else {}),
        },
    )


def _aligned(word: Word) -> AlignmentItem:
    return AlignmentItem(word.word, word.start, round(word.end - word.start, 3), word.confidence)


def write_cuts(cuts: Iterable[MonoCut], path: Path) -> int:
    """Write cuts as one `.jsonl.gz`, one at a time, and return how many there were."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with manifest_file(path) as file:
        for cut in cuts:
            put_line(file, cut.to_dict())
            count += 1
    return count
