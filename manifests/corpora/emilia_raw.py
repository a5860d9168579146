"""Read Emilia in the layout it had before the tars: lists `raw/<LANG>/<LANG>_B00000.jsonl` beside folders of MP3 files.

A line has the fields of a tar's JSON; its `wav` is the path of the audio below the folder of the list.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from manifests.audio.inspection import Inspection, inspect_file
from manifests.corpora.emilia import Emilia, metadata_of
from manifests.corpus import MEGABYTE, CorpusOptions, Source
from manifests.reading.listing import FoundFile, file_source, require_folder, walk
from manifests.reading.recording import AudioSource, CorpusMetadata, build_rows
from manifests.reading.regular import NotRegularFile, open_regular
from manifests.reading.sidecar import Sidecar, parse_json
from manifests.reading.values import number_of
from warehouse.rows import RecordingRow, SourceRow

# Rate of the published MP3 files, 1.9 GB for 69 hours: sizes the shards without opening any file.
_BYTES_PER_SECOND = 7_650


@dataclass(frozen=True, slots=True)
class EmiliaRaw:
    """Reader of Emilia's lists; `root` is any folder above them.

    A list is read as ranges of lines that stand for about `options.shard_megabytes` of audio. A line that is not JSON,
    or names no audio, or audio that is gone, is a dropped row.
    """

    kind: ClassVar[str] = "emilia-raw"
    version: ClassVar[int] = 2
    licence: ClassVar[str] = Emilia.licence

    root: Path
    name: str = "emilia-raw"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield ranges of lines of every list below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        limit = self.options.shard_megabytes * MEGABYTE
        for found in walk(self.root, frozenset({".jsonl"})):
            yield from _ranges(found, limit)

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the utterances of one range of lines."""
        seen: set[str] = set()
        has_rows = False
        try:
            for start, line in _lines(source.path, source.offset, source.size):
                has_rows = True
                yield from self._utterance(source, start, line, seen)
        except NotRegularFile as error:
            yield from self._dropped(source, source.offset, "not_a_file", f"{source.path}: {error.strerror}")
        except OSError as error:
            yield from self._dropped(source, source.offset, "unreadable", f"{source.path}: {error.strerror}")
        else:
            if not has_rows:
                yield from self._dropped(source, source.offset, "no_recordings", "no line in this range")

    def _utterance(self, source: SourceRow, start: int, line: bytes, seen: set[str]) -> Iterator[RecordingRow]:
        sidecar = parse_json(line)
        location = sidecar.values.get("wav")
        if not isinstance(location, str) or not location.strip():
            fault = sidecar.fault or "the line names no `wav`"
            return self._dropped(source, start, "missing_audio", fault, sidecar)
        listed = PurePosixPath(source.relative_path).parent / location.strip()
        path = str(Path(source.path).parent / location.strip())
        # Two rows of one path would have one id; the second one tells why it is dropped.
        is_repeated = path in seen
        seen.add(path)
        audio_source = AudioSource(
            path=path, relative_path=str(listed), key=f"{listed}@{start}" if is_repeated else None
        )
        if is_repeated:
            inspection = Inspection(fault="duplicate_member", detail="the same file came earlier in this list")
        else:
            inspection = inspect_file(path, self.options.channels)
        return build_rows(self, source, audio_source, inspection, self._metadata(source, sidecar, listed.stem))

    def _dropped(
        self, source: SourceRow, start: int, reason: str, detail: str, sidecar: Sidecar | None = None
    ) -> Iterator[RecordingRow]:
        audio_source = AudioSource(path=source.path, relative_path=source.relative_path, offset=start, key=f"@{start}")
        metadata = self._metadata(source, sidecar or Sidecar(), "")
        return build_rows(self, source, audio_source, Inspection(fault=reason, detail=detail), metadata)

    def _metadata(self, source: SourceRow, sidecar: Sidecar, identity: str) -> CorpusMetadata:
        subset = PurePosixPath(source.relative_path).name.split("_")[0].removesuffix(".jsonl")
        return metadata_of(sidecar, identity, subset=subset, licence=self.licence)


def _lines(path: str, offset: int, size: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that begin in a range of a list, each with its first byte; blank ones are left out."""
    with open_regular(path) as file:
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
                yield whole.byte_range(first, start, weight)
                first, weight = start, 0.0
            end = start + len(line)
            weight += max(0.0, number_of(parse_json(line).values.get("duration")) or 0.0) * _BYTES_PER_SECOND
    except OSError:
        yield whole
        return
    yield whole.byte_range(first, max(end, whole.size), weight)
