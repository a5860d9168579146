"""A Lhotse CutSet (`.jsonl` or `.jsonl.gz`) as a corpus: its recordings, with its cuts as their spans.

The JSON lines are read as they are, without Lhotse, so that a list of any length is read one line at a time.
"""

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby, takewhile
from pathlib import Path
from typing import IO, Any, ClassVar, cast

from manifests.corpus import MEGABYTE, CorpusOptions, Source
from manifests.reading.inspection import Inspection, hash_content, inspect_file
from manifests.reading.listing import FoundFile, file_source
from manifests.reading.recording import AudioSource, CorpusMetadata, build_row
from manifests.reading.sidecar import Sidecar, label_of, language_of, number_of, parse_json, text_of
from warehouse.errors import ManifestError
from warehouse.rows import RecordingRow, SourceRow, Span

_ROUNDING = 0.02  # seconds by which a cut of a whole recording may miss its ends
_BYTES_PER_SAMPLE = 1.0  # a guess at what encoded audio takes, to size shards without opening any


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the list, where it begins (bytes of the uncompressed list), and the next line's beginning."""

    start: int
    end: int
    cut: Sidecar

    @property
    def recording(self) -> Mapping[str, Any]:
        return _mapping(self.cut.values.get("recording"))

    @property
    def recording_name(self) -> str:
        return label_of(self.recording.get("id")) or f"line at {self.start}"


@dataclass(frozen=True, slots=True)
class LhotseCuts:
    """Reader of a CutSet; `root` is the `.jsonl` or `.jsonl.gz` file.

    Relative audio paths lie below the folder of the list or below one above it.
    Cuts of one recording that follow each other become one row: the recording with the cuts as its spans. The text
    of a row is that of the whole recording, so it comes from the only supervision of a cut that is all of it; any
    other supervisions go into `extra` with their times and texts, and the speaker or language they share is kept.
    Cuts that are mixed or padded, and recordings that are not one plain file, are dropped rows. Cuts of one
    recording that are apart in the list give a row each, told apart by their first cut.
    """

    kind: ClassVar[str] = "cutset"
    version: ClassVar[int] = 1

    root: Path
    name: str = "cutset"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Ranges of lines that hold about `options.shard_megabytes` of audio; see `manifests.corpus.Corpus`.

        Raises ManifestError when the list is missing.
        """
        if not self.root.is_file():
            raise ManifestError(f"The list of cuts of corpus {self.name!r} is not a file: {self.root}; give its path.")
        whole = file_source(FoundFile(str(self.root.absolute()), self.root.name))
        limit = self.options.shard_megabytes * MEGABYTE
        start = end = 0
        weight = 0.0
        for _, group in groupby(_lines(self.root, 0), key=lambda line: line.recording_name):
            if weight >= limit:
                yield _range(whole, start, end, weight)
                start, weight = end, 0.0
            for line in group:
                end = line.end
                weight += _weight(line)
        yield _range(whole, start, end, weight)

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """The recordings of one range of lines."""
        has_rows = False
        end = source.offset + source.size
        lines = takewhile(lambda line: line.start < end, _lines(Path(source.path), source.offset))
        for _, group in groupby(lines, key=lambda line: line.recording_name):
            has_rows = True
            yield self._recording(source, list(group))
        if not has_rows:
            yield self._dropped(source, source.offset, "no_recordings", "no line in this range")

    def _dropped(self, source: SourceRow, at: int, reason: str, detail: str) -> RecordingRow:
        place = AudioSource(path=source.path, relative_path=source.relative_path, offset=at, key=f"@{at}")
        return build_row(self, source, place, Inspection(fault=reason, detail=detail), CorpusMetadata())

    def _recording(self, source: SourceRow, lines: list[_Line]) -> RecordingRow:
        first = lines[0]
        fault = next((fault for fault in map(_fault, lines) if fault), None)
        if fault:
            return self._dropped(source, first.start, "unsupported_cut", fault)
        path = _locate(first.recording["sources"][0]["source"], Path(source.path).parent)
        cuts = [line.cut.values for line in lines]
        spans = [_span(cut) for cut in cuts]
        # the audio may be listed again with other cuts: what is meant is these spans of it
        inspection = _of_spans(inspect_file(path), spans)
        key = f"{first.recording_name}/{label_of(cuts[0].get('id')) or first.start}"
        place = AudioSource(path=path, relative_path=source.relative_path, key=key)
        said = _said(first, cuts, spans, is_whole=_is_whole(spans, inspection.duration))
        return build_row(self, source, place, inspection, said)


def _lines(path: Path, start: int) -> Iterator[_Line]:
    """The lines that begin at byte `start` of the uncompressed list or later; blank ones are left out.

    Where the list cannot be read on, a last line of one byte carries the fault.
    """
    try:
        with cast(IO[bytes], gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")) as file:
            file.seek(start)
            for line in file:
                end = start + len(line)
                if line.strip():
                    yield _Line(start, end, parse_json(line))
                start = end
    except (OSError, EOFError, zlib.error) as error:
        yield _Line(start, start + 1, Sidecar(fault=f"the list breaks off: {error}"))


def _locate(location: str, folder: Path) -> str:
    """The file that `location` means, below the folder of the list or one above it: recipes write either."""
    candidates = (str(above / location) for above in (folder, *folder.parents))
    return next((path for path in candidates if os.path.isfile(path)), str(folder / location))  # noqa: PTH113


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


def _weight(line: _Line) -> float:
    duration = number_of(line.cut.values.get("duration")) or 0.0
    return max(0.0, duration * (number_of(line.recording.get("sampling_rate")) or 0.0) * _BYTES_PER_SAMPLE)


def _fault(line: _Line) -> str | None:
    """Why a line is no plain window of a plain file, or None."""
    if line.cut.fault:
        return line.cut.fault
    kind = line.cut.values.get("type", "MonoCut")
    if kind not in ("MonoCut", "MultiCut", "Cut"):
        return f"a {kind} is no window of one recording"
    sources = line.recording.get("sources")
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], dict):
        return "the recording is not one file"
    if sources[0].get("type") != "file" or not isinstance(sources[0].get("source"), str):
        return f"audio of type {sources[0].get('type')!r} is not read, only files"
    if line.recording.get("transforms"):
        return "the recording is transformed on the fly; save it to files first"
    start, duration = number_of(line.cut.values.get("start")), number_of(line.cut.values.get("duration"))
    if start is None or duration is None or start < 0 or duration <= 0:
        return "the cut has no start and duration"
    return None


def _span(cut: Mapping[str, Any]) -> Span:
    start = float(cut["start"])
    return Span(start=start, end=start + float(cut["duration"]))


def _of_spans(inspection: Inspection, spans: list[Span]) -> Inspection:
    if inspection.fault:
        return inspection
    content_hash = hash_content(inspection.size, inspection.content_hash.encode(), repr(spans).encode())
    return replace(inspection, content_hash=content_hash)


def _is_whole(spans: list[Span], duration: float | None) -> bool:
    """Whether one span is all of a recording, but for what rounding may cost."""
    if duration is None or len(spans) != 1:
        return False
    return spans[0].start <= _ROUNDING and spans[0].end >= duration - _ROUNDING


def _said(first: _Line, cuts: list[Mapping[str, Any]], spans: list[Span], *, is_whole: bool) -> CorpusMetadata:
    supervisions = [
        _supervision(item, span.start)
        for cut, span in zip(cuts, spans, strict=True)
        for item in cut.get("supervisions") or []
        if isinstance(item, dict)
    ]
    customs = [_mapping(cut.get("custom")) for cut in cuts]
    extra: dict[str, Any] = {
        "recording": label_of(first.recording.get("id")),
        "cuts": [label_of(cut.get("id")) for cut in cuts],
    }
    has_text = is_whole and len(supervisions) == 1
    if has_text:
        extra |= supervisions[0]["custom"]
    elif supervisions:
        extra["supervisions"] = supervisions
    return CorpusMetadata(
        speaker=_shared(item["speaker"] for item in supervisions),
        language=_shared(item["language"] for item in supervisions),
        text=supervisions[0]["text"] if has_text else None,
        spans=spans,
        extra={**_mapping(first.recording.get("custom")), **(customs[0] if len(cuts) == 1 else {}), **extra},
    )


def _supervision(item: Mapping[str, Any], cut_start: float) -> dict[str, Any]:
    return {
        "start": cut_start + (number_of(item.get("start")) or 0.0),
        "duration": number_of(item.get("duration")),
        "text": text_of(item.get("text")),
        "speaker": label_of(item.get("speaker")),
        "language": language_of(item.get("language")),
        "custom": {**_mapping(item.get("custom")), **({"gender": item["gender"]} if item.get("gender") else {})},
    }


def _shared(values: Iterable[str | None]) -> str | None:
    """The value that all share, or None."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
