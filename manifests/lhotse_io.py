"""Write rows of the lake as Lhotse manifests: recordings, supervisions, cuts, and cuts with codes.

Members of an archive become a recording whose source is a command that cuts the bytes out, so stock Lhotse can load
them. Files are written line by line under a temporary name and depend on the rows alone.
"""

import gzip
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.cut import Cut

from warehouse.files import atomic_write
from warehouse.rows import RecordingRow, Span

CODES_STORAGE = "parquet_codes"
"""Storage type of codes in a cut; the reader of that name is registered by `valle.data.codes_reader`."""


@dataclass(frozen=True, slots=True)
class ManifestPaths:
    """The files of one subset of a corpus."""

    recordings: Path
    supervisions: Path
    cuts: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFacts:
    """Facts of the recording of a cut; `size` is 0 for a plain file, `start` is that of the segment, in seconds."""

    path: str
    sample_rate: int
    num_samples: int
    num_channels: int = 1
    channel: int | None = None
    offset: int = 0
    size: int = 0
    start: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesPlace:
    """Location of the codes of an item: the data file, and the numbers of the codec."""

    path: str
    num_codebooks: int
    frame_rate: float
    codec: str
    """Name and revision of the codec."""


def facts_of(row: RecordingRow) -> AudioFacts:
    """Return the facts of a usable recording."""
    assert row.sample_rate is not None and row.num_samples is not None, "a dropped row has no audio"
    return AudioFacts(
        path=row.path,
        sample_rate=row.sample_rate,
        num_samples=row.num_samples,
        num_channels=row.num_channels or 1,
        channel=row.channel,
        offset=row.offset,
        size=0 if row.member is None else row.size,
    )


def make_recording(recording_id: str, facts: AudioFacts) -> Recording:
    """Return the Lhotse recording of a file or of a range of bytes of an archive."""
    return Recording.from_dict(_recording_line(recording_id, facts))


def _recording_line(recording_id: str, facts: AudioFacts) -> dict[str, Any]:
    source, kind = facts.path, "file"
    # Lhotse has no source type for a range of bytes; a command is read by every version of it.
    if facts.size:
        source, kind = f"tail -c +{facts.offset + 1} {shlex.quote(facts.path)} | head -c {facts.size}", "command"
    channels = list(range(facts.num_channels))
    return {
        "id": recording_id,
        "sources": [{"type": kind, "channels": channels, "source": source}],
        "sampling_rate": facts.sample_rate,
        "num_samples": facts.num_samples,
        "duration": facts.num_samples / facts.sample_rate,
        "channel_ids": channels,
    }


def make_supervisions(row: RecordingRow) -> list[SupervisionSegment]:
    """Return one supervision per declared span, or one over everything; a text of the recording needs a single span."""
    assert row.duration is not None, "a dropped row has no audio"
    spans = row.spans or [Span(start=0.0, end=row.duration)]
    texts: list[str | None] = row.span_texts or [row.text if len(spans) == 1 else None] * len(spans)
    custom = {
        "licence": row.licence,
        "origin": row.origin,
        "book": row.book,
        "genre": row.genre,
        "snr": row.snr,
        "dnsmos": row.dnsmos,
    }
    return [
        SupervisionSegment(
            id=f"{row.recording_id}-{number}",
            recording_id=row.recording_id,
            start=span.start,
            duration=round(span.end - span.start, 8),
            channel=_channels_of(row),
            text=texts[number],
            speaker=row.speaker,
            language=row.language,
            custom={key: value for key, value in custom.items() if value is not None},
        )
        for number, span in enumerate(spans)
    ]


def _channels_of(row: RecordingRow) -> int | list[int]:
    if row.channel is not None:
        return row.channel
    num_channels = row.num_channels or 1
    return list(range(num_channels)) if num_channels > 1 else 0


def _cut_of(row: RecordingRow, recording: Recording) -> Cut:
    if row.channel is None:
        return recording.to_cut()
    return MonoCut(id=recording.id, start=0.0, duration=recording.duration, channel=row.channel, recording=recording)


def write_manifests(rows: Iterable[RecordingRow], directory: Path, *, corpus: str, subset: str) -> ManifestPaths:
    """Write the usable `rows` as `<corpus>_{recordings,supervisions,cuts}_<subset>.jsonl.gz` and return their paths.

    Dropped rows are left out. One row is in memory at a time; the three files appear together at the end.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = ManifestPaths(
        *(directory / f"{corpus}_{kind}_{subset}.jsonl.gz" for kind in ("recordings", "supervisions", "cuts"))
    )
    with ExitStack() as files:
        recordings, supervisions, cuts = (
            files.enter_context(_written(path)) for path in (paths.recordings, paths.supervisions, paths.cuts)
        )
        for row in rows:
            if row.drop_reason is not None:
                continue
            recording = make_recording(row.recording_id, facts_of(row))
            listed = make_supervisions(row)
            cut = _cut_of(row, recording)
            cut.supervisions = listed
            _put(recordings, recording.to_dict())
            _put(cuts, cut.to_dict())
            for supervision in listed:
                _put(supervisions, supervision.to_dict())
    return paths


def codes_cut_line(item: Mapping[str, Any], facts: AudioFacts, codes: CodesPlace) -> dict[str, Any]:
    """Return the line of the cut of a training item: its audio, its text, and its codes [T, Q] as the field `codes`.

    `item` has the columns of `TrainingItemRow`, and perhaps `words`, the alignment `word` of the supervision of a whole
    segment, and `in_test`, which marks an utterance that a split policy named for test. The objects of Lhotse take ten
    times as long to make and to write as the line, and a set has millions.

    `cut.load_codes()` needs `valle.data.codes_reader` to be imported. The codes begin with the cut; a truncated cut
    loads the frames of its own span. Lhotse rounds the frames of a span: a last frame that is less than
    half filled is left out.
    """
    recording = _recording_line(item["recording_id"], facts)
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


def _supervision_line(item: Mapping[str, Any], duration: float, words: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
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


def write_lines(lines: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write lines as one `.jsonl.gz`, one at a time, and return how many there were."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with _written(path) as file:
        for line in lines:
            _put(file, line)
            count += 1
    return count


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """Open a gzip file that appears under its name when it is complete; equal lines give equal bytes."""
    # Readers of the old manifest keep their file; the lake can make the new one again after a power cut.
    with (
        atomic_write(path, durable=False) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as file,
    ):
        yield file  # type: ignore[misc]  # typeshed: a GzipFile is a BinaryIO in all but name


def _put(file: BinaryIO, line: Mapping[str, Any]) -> None:
    file.write(f"{json.dumps(line, ensure_ascii=False)}\n".encode())
