"""Write rows of the lake as the lines of Lhotse manifests: recordings, supervisions and cuts.

The lines are dictionaries of the format of Lhotse, made without it: importing it imports torch, which costs more than
the ingestion of a small corpus. Cuts with codes are in `manifests/lhotse_codes.py`.

Members of an archive become a recording whose source is a command that cuts the bytes out, so stock Lhotse can load
them. Files are written line by line under a temporary name and depend on the rows alone.
"""

import gzip
import io
import shlex
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from warehouse.files import atomic_write
from warehouse.rows import RecordingRow, Span

# Level 6 saves a fifth of the bytes for three times the time.
_GZIP_LEVEL = 3
_BUFFER_BYTES = 1 << 18

Line = dict[str, Any]
"""A manifest as Lhotse's `to_dict` gives it: fields in their order, those that are None left out."""


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


def recording_line(recording_id: str, facts: AudioFacts) -> Line:
    """Return the recording of a file or of a range of bytes of an archive."""
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


def supervision_lines(row: RecordingRow) -> list[Line]:
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
        _without_none(
            {
                "id": f"{row.recording_id}-{number}",
                "recording_id": row.recording_id,
                "start": span.start,
                "duration": round(span.end - span.start, 8),
                "channel": _channels_of(row),
                "text": texts[number],
                "language": row.language,
                "speaker": row.speaker,
                "custom": _without_none(custom),
            }
        )
        for number, span in enumerate(spans)
    ]


def _without_none(fields: Line) -> Line:
    return {name: value for name, value in fields.items() if value is not None}


def _channels_of(row: RecordingRow) -> int | list[int]:
    if row.channel is not None:
        return row.channel
    num_channels = row.num_channels or 1
    return list(range(num_channels)) if num_channels > 1 else 0


def _cut_line(row: RecordingRow, recording: Line, supervisions: list[Line]) -> Line:
    """Return the cut of a whole recording, or of the channel that the row is."""
    channel = _channels_of(row)
    return {
        "id": recording["id"],
        "start": 0.0,
        "duration": recording["duration"],
        "channel": channel,
        "supervisions": supervisions,
        "recording": recording,
        "type": "MultiCut" if isinstance(channel, list) else "MonoCut",
    }


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
            files.enter_context(manifest_file(path)) for path in (paths.recordings, paths.supervisions, paths.cuts)
        )
        for row in rows:
            if row.drop_reason is not None:
                continue
            recording, listed = recording_line(row.recording_id, facts_of(row)), supervision_lines(row)
            put_line(recordings, recording)
            put_line(cuts, _cut_line(row, recording, listed))
            for supervision in listed:
                put_line(supervisions, supervision)
    return paths


@contextmanager
def manifest_file(path: Path) -> Iterator[BinaryIO]:
    """Open a gzip file that appears under its name when it is complete; equal lines give equal bytes."""
    # Readers of the old manifest keep their file; the lake can make the new one again after a power cut.
    with (
        atomic_write(path, durable=False) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=_GZIP_LEVEL, mtime=0) as file,
        io.BufferedWriter(file, _BUFFER_BYTES) as buffered,
    ):
        yield buffered


def put_line(file: BinaryIO, line: Line) -> None:
    """Write a manifest as one line of JSON."""
    file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
