"""Emilia in the layout it had before the tars: lists `raw/<LANG>/<LANG>_B00000.jsonl` beside folders of MP3 files.

A line has the fields of a tar's JSON; its `wav` is the path of the audio below the folder of the list.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from manifests.corpora.emilia import Emilia, said_of
from manifests.corpus import MEGABYTE, CorpusOptions, Source
from manifests.reading.inspection import Inspection, inspect_file
from manifests.reading.listing import FoundFile, file_source, require_folder, walk
from manifests.reading.recording import AudioSource, CorpusMetadata, build_row
from manifests.reading.sidecar import Sidecar, number_of, parse_json, text_of
from warehouse.rows import RecordingRow, SourceRow

_BYTES_PER_SECOND = 7_650
"""Of the published MP3 files: 1.9 GB are 69 hours. Sizes the shards without looking at any file."""


@dataclass(frozen=True, slots=True)
class EmiliaRaw:
    """Reader of Emilia's lists; `root` is any folder above them.

    A list is read as ranges of lines that stand for about `options.shard_megabytes` of audio. A line that is not JSON,
    or names no audio, or audio that is gone, is a dropped row.
    """

    kind: ClassVar[str] = "emilia-raw"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = Emilia.licence

    root: Path
    name: str = "emilia-raw"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Ranges of lines of every list below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        limit = self.options.shard_megabytes * MEGABYTE
        for found in walk(self.root, frozenset({".jsonl"})):
            yield from _ranges(found, limit)

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """The utterances of one range of lines."""
        seen: set[str] = set()
        try:
            for start, line in _lines(source.path, source.offset, source.size):
                row = self._utterance(source, start, line, seen)
                seen.add(row.path)
                yield row
        except OSError as error:
            yield self._dropped(source, source.offset, "unreadable", f"{source.path}: {error.strerror}")
            return
        if not seen:
            yield self._dropped(source, source.offset, "no_recordings", "no line in this range")

    def _utterance(self, source: SourceRow, start: int, line: bytes, seen: set[str]) -> RecordingRow:
        parsed = parse_json(line)
        location = text_of(parsed.values.get("wav"))
        if location is None:
            fault = parsed.fault or "the line names no `wav`"
            return self._dropped(source, start, "missing_audio", fault, parsed)
        listed = PurePosixPath(source.relative_path).parent / location
        path = str(Path(source.path).parent / location)
        again = path in seen
        place = AudioSource(path=path, relative_path=str(listed), key=f"{listed}@{start}" if again else None)
        inspection = inspect_file(path)
        if again:
            inspection = Inspection(fault="duplicate_member", detail="the same file came earlier in this list")
        return build_row(self, source, place, inspection, self._said(source, parsed, listed.stem))

    def _dropped(
        self, source: SourceRow, at: int, reason: str, detail: str, parsed: Sidecar | None = None
    ) -> RecordingRow:
        place = AudioSource(path=source.path, relative_path=source.relative_path, offset=at, key=f"@{at}")
        said = self._said(source, parsed or Sidecar(), "")
        return build_row(self, source, place, Inspection(fault=reason, detail=detail), said)

    def _said(self, source: SourceRow, parsed: Sidecar, identity: str) -> CorpusMetadata:
        part = PurePosixPath(source.relative_path).name.split("_")[0].removesuffix(".jsonl")
        return said_of(parsed, identity, part=part, licence=self.licence)


def _lines(path: str, offset: int, size: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Lines that begin in a range of a list, each with its first byte; blank ones are left out."""
    with Path(path).open("rb") as file:
        file.seek(offset)
        start = offset
        for line in file:
            if size is not None and start >= offset + size:
                return
            if line.strip():
                yield start, line
            start += len(line)


def _ranges(found: FoundFile, limit: float) -> Iterator[Source]:
    whole = file_source(found)
    first = end = 0
    weight = 0.0
    try:
        for start, line in _lines(found.path, 0):
            if weight >= limit:
                yield _range(whole, first, start, weight)
                first, weight = start, 0.0
            end = start + len(line)
            weight += max(0.0, number_of(parse_json(line).values.get("duration")) or 0.0) * _BYTES_PER_SECOND
    except OSError:
        yield whole
        return
    yield _range(whole, first, max(end, whole.size), weight)


def _range(whole: Source, start: int, end: int, weight: float) -> Source:
    return Source(
        path=whole.path,
        relative_path=whole.relative_path,
        etag=whole.etag,
        offset=start,
        size=end - start,
        is_range=True,
        weight=int(weight),
    )
