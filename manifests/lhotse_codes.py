"""Write training items as the lines of Lhotse cuts, with their codes.

The lines are dictionaries of the format of Lhotse: its objects take ten times as long to make and to write, and a set
has millions of items.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.lhotse_lines import AudioFacts, Line, manifest_file, put_line, recording_line

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


def codes_cut_line(item: Mapping[str, Any], facts: AudioFacts, codes: CodesPlace) -> Line:
    """Return the line of the cut of a training item: its audio, its text, and its codes [T, Q] as the field `codes`.

    `item` has the columns of `TrainingItemRow`, and perhaps `words`, the alignment `word` of the supervision of a whole
    segment, and `in_test`, which marks an utterance that a split policy named for test.

    `cut.load_codes()` needs `valle.data.codes_reader` to be imported. The codes begin with the cut; a truncated cut
    loads the frames of its own span. Lhotse rounds the frames of a span: a last frame that is less than
    half filled is left out.
    """
    recording = recording_line(item["recording_id"], facts)
    first = item["codes_start"] or 0
    start = facts.start + first / codes.frame_rate
    duration = round(min(item["duration"], recording["duration"] - start), 8)
    array = {
        "storage_type": CODES_STORAGE,
        "storage_path": codes.path,
        "storage_key": f"{item['codes_row_group']}:{item['codes_row']}",
        "shape": [first + item["num_frames"], codes.num_codebooks],
    }
    custom = {
        "codes": {
            "array": array,
            "temporal_dim": 0,
            "frame_shift": 1 / codes.frame_rate,
            "start": facts.start,
        },
        "codec": codes.codec,
        "corpus": item["corpus"],
        "split": item["split"],
        "training_set": item["training_set"],
    }
    return {
        "id": item["segment_id"],
        "start": start,
        "duration": duration,
        "channel": facts.channel or 0,
        "supervisions": [_supervision_line(item, duration, words=() if first else item.get("words") or ())],
        "recording": recording,
        "custom": custom | ({"in_test": True} if item.get("in_test") else {}),
        "type": "MonoCut",
    }


def _supervision_line(item: Mapping[str, Any], duration: float, words: Sequence[Mapping[str, Any]]) -> Line:
    line = {
        "id": item["segment_id"],
        "recording_id": item["recording_id"],
        "start": 0.0,
        "duration": duration,
        "channel": 0,
        "text": item["text"],
        "language": item["language"],
        "speaker": item["speaker"],
        "custom": {"symbols": item["symbols"], "licence": item["licence"], "weight": item["weight"]},
    }
    if words:
        line["alignment"] = {"word": [_aligned(word) for word in words]}
    return line


def _aligned(word: Mapping[str, Any]) -> list[Any]:
    return [word["word"], word["start"], round(word["end"] - word["start"], 3), word["confidence"]]


def write_lines(lines: Iterable[Line], path: Path) -> int:
    """Write lines as one `.jsonl.gz`, one at a time, and return how many there were."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with manifest_file(path) as file:
        for line in lines:
            put_line(file, line)
            count += 1
    return count
