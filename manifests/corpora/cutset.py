"""Read a Lhotse CutSet (`.jsonl` or `.jsonl.gz`) as a corpus: its recordings, with the cuts as their spans."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any, ClassVar

from manifests.audio.inspection import Inspection, hash_text, inspect_file
from manifests.corpus import MEGABYTE, CorpusOptions, Source
from manifests.reading.cuts import (
    CutLine,
    CutPiece,
    cut_fault,
    locate_audio,
    mapping_of,
    pieces_of,
    read_cut_lines,
)
from manifests.reading.listing import FoundFile, file_source
from manifests.reading.recording import AudioSource, CorpusMetadata, build_rows
from manifests.reading.transcripts import lower_capitals
from manifests.reading.values import label_of, number_of
from warehouse.errors import ManifestError
from warehouse.rows import RecordingRow, SourceRow, Span

_ROUNDING = 0.02  # seconds by which a cut of a whole recording may miss its ends
_LATEST_END = 0.5  # seconds by which a span may end after the audio; with more of it missing its text is not whole
_SUFFIXES = (".jsonl", ".jsonl.gz")
_GUESS_TOLERANCE = 0.1  # seconds by which a recording found by the end of its path may differ from the list
_BYTES_PER_SAMPLE = 1.0  # rough size of encoded audio, to form shards without opening any


@dataclass(frozen=True, slots=True)
class LhotseCuts:
    """Reader of a CutSet; `root` is the `.jsonl` or `.jsonl.gz` file.

    Relative audio paths are below the folder of the list or below one above it.
    Neighbouring cuts of one recording, speaker, language and channel become one row: the recording, with the cuts (or
    the supervisions of a cut that has several) as its spans and their texts. The text of a cut of the whole recording
    is the text of the recording. Everything else of the supervisions goes into `extra`.
    Cuts that are mixed or padded, and recordings that are not one plain file, are dropped rows. Cuts of one
    recording that are apart in the list give a row each, identified by their first cut.
    """

    kind: ClassVar[str] = "cutset"
    version: ClassVar[int] = 3

    root: Path
    name: str = "cutset"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield ranges of lines with about `options.shard_megabytes` of audio; see `manifests.corpus.Corpus`.

        Raises ManifestError when the list is missing.
        """
        if not self.root.is_file():
            raise ManifestError(f"The list of cuts of corpus {self.name!r} is not a file: {self.root}; give its path.")
        if not self.root.name.endswith(_SUFFIXES):
            raise ManifestError(
                f"The list of cuts of corpus {self.name!r} is called {self.root.name}; write one cut a line, to a file "
                "that ends in .jsonl or .jsonl.gz (`lhotse copy LIST cuts.jsonl.gz`)."
            )
        yield from find_ranges(
            FoundFile(str(self.root.absolute()), self.root.name), self.options.shard_megabytes * MEGABYTE
        )

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the recordings of one range of lines."""
        has_rows = False
        end = source.offset + source.size
        lines = takewhile(lambda line: line.start < end, read_cut_lines(Path(source.path), source.offset))
        for _, group in groupby(lines, key=lambda line: line.audio_name):
            has_rows = True
            yield from self._recordings(source, list(group))
        if not has_rows:
            yield from self._dropped(source, source.offset, "no_recordings", "no line in this range")

    def metadata(self, pieces: Sequence[CutPiece], path: str, duration: float | None) -> CorpusMetadata:
        """Return the metadata of the pieces that form one row; `path` and `duration` are those of the audio."""
        return metadata_of(pieces, duration)

    def _dropped(self, source: SourceRow, start: int, reason: str, detail: str) -> Iterator[RecordingRow]:
        audio_source = AudioSource(path=source.path, relative_path=source.relative_path, offset=start, key=f"@{start}")
        return build_rows(self, source, audio_source, Inspection(fault=reason, detail=detail), CorpusMetadata())

    def _recordings(self, source: SourceRow, lines: list[CutLine]) -> Iterator[RecordingRow]:
        """Yield the rows of neighbouring cuts of one recording; a cut with a fault is a dropped row of its own."""
        for line in lines:
            if fault := cut_fault(line):
                yield from self._dropped(source, line.start, "unsupported_cut", fault)
        usable = [line for line in lines if not cut_fault(line)]
        pieces = [piece for line in usable for piece in pieces_of(line)]
        if usable and not pieces:
            yield from self._dropped(source, usable[0].start, "no_speech", "every supervision is music or noise")
        if not pieces:
            return
        audio = locate_audio(usable[0].recording["sources"][0]["source"], Path(source.path).parent)
        inspection = inspect_file(audio.path)
        if audio.is_guess:
            inspection = _require_duration(inspection, usable[0].recording)
        if not inspection.fault:
            late = [piece for piece in pieces if piece.span.end > (inspection.duration or 0.0) + _LATEST_END]
            for piece in late:
                detail = f"the span ends at {piece.span.end:.2f} s, the audio at {inspection.duration:.2f} s"
                yield from self._dropped(source, piece.line.start, "truncated", detail)
            pieces = [piece for piece in pieces if piece not in late]
        for number, group in enumerate(_by_speaker(pieces)):
            yield from self._recording(source, group, inspection, audio.path, number)

    def _recording(
        self, source: SourceRow, pieces: list[CutPiece], inspection: Inspection, path: str, number: int
    ) -> Iterator[RecordingRow]:
        line = pieces[0].line
        key = f"{line.recording_name}/{line.cut_name}" + (f"/{number}" if number else "")
        audio_source = AudioSource(path=path, relative_path=source.relative_path, key=key)
        metadata = self.metadata(pieces, path, inspection.duration)
        return build_rows(self, source, audio_source, _of_pieces(inspection, pieces), metadata)


def find_ranges(found: FoundFile, limit: float) -> Iterator[Source]:
    """Yield ranges of lines of a list with about `limit` bytes of audio that never divide a recording."""
    whole = file_source(found)
    start = end = 0
    weight = 0.0
    for _, group in groupby(read_cut_lines(Path(found.path), 0), key=lambda line: line.audio_name):
        if weight >= limit:
            yield whole.byte_range(start, end, weight)
            start, weight = end, 0.0
        for line in group:
            end = line.end
            weight += _weight(line)
    yield whole.byte_range(start, end, weight)


def metadata_of(pieces: Sequence[CutPiece], duration: float | None) -> CorpusMetadata:
    """Return the metadata of pieces of one recording, which lasts `duration` seconds, by one speaker."""
    first = pieces[0]
    spans = [piece.span for piece in pieces]
    texts = lower_capitals([piece.text for piece in pieces])
    cuts = list(dict.fromkeys(piece.line.cut_name for piece in pieces))
    extra: dict[str, Any] = {"recording": label_of(first.line.recording.get("id")), "cuts": cuts}
    is_whole = _is_whole(spans, duration) and texts[0] is not None
    if is_whole:
        extra |= first.custom
    elif any(piece.text or piece.speaker or piece.custom for piece in pieces):
        extra["supervisions"] = [_describe(piece, text) for piece, text in zip(pieces, texts, strict=True)]
    custom = mapping_of(first.line.cut.values.get("custom")) if len(cuts) == 1 else {}
    return CorpusMetadata(
        speaker=first.speaker,
        language=first.language,
        text=texts[0] if is_whole else None,
        spans=spans,
        span_texts=None if is_whole or not any(texts) else texts,
        extra={**mapping_of(first.line.recording.get("custom")), **custom, **extra},
    )


def _describe(piece: CutPiece, text: str | None) -> dict[str, Any]:
    return {
        "start": piece.span.start,
        "duration": round(piece.span.end - piece.span.start, 8),
        "text": text,
        "speaker": piece.speaker,
        "language": piece.language,
        "custom": dict(piece.custom),
    }


def _by_speaker(pieces: Iterable[CutPiece]) -> list[list[CutPiece]]:
    """Return the pieces of each speaker, language and channel; a span that is listed twice counts once."""
    groups: dict[tuple[str | None, str | None, int | None], dict[tuple[float, float], CutPiece]] = {}
    for piece in pieces:
        group = groups.setdefault((piece.speaker, piece.language, piece.channel), {})
        group.setdefault((piece.span.start, piece.span.end), piece)
    return [list(group.values()) for group in groups.values()]


def _weight(line: CutLine) -> float:
    duration = number_of(line.cut.values.get("duration")) or 0.0
    return min(1e15, max(0.0, duration * (number_of(line.recording.get("sampling_rate")) or 0.0) * _BYTES_PER_SAMPLE))


def _require_duration(inspection: Inspection, recording: Mapping[str, Any]) -> Inspection:
    """Return the inspection, with a fault where the list declares another duration."""
    declared = number_of(recording.get("duration"))
    if inspection.fault or declared is None or abs(declared - (inspection.duration or 0.0)) <= _GUESS_TOLERANCE:
        return inspection
    detail = f"the file of this name lasts {inspection.duration:.2f} s, not {declared:.2f} s as listed"
    return Inspection(fault="missing_file", detail=detail)


def _of_pieces(inspection: Inspection, pieces: Sequence[CutPiece]) -> Inspection:
    """Return the inspection of the spans alone: the same audio may be listed again with other cuts."""
    if inspection.fault:
        return inspection
    channel = pieces[0].channel
    is_one_of_many = channel is not None and (inspection.num_channels or 1) > max(1, channel)
    spans = [(piece.span.start, piece.span.end) for piece in pieces]
    return replace(
        inspection,
        content_hash=hash_text(f"{inspection.content_hash}:{spans!r}"),
        channels=(channel if is_one_of_many else None,),
    )


def _is_whole(spans: list[Span], duration: float | None) -> bool:
    """Return whether one span is all of a recording, but for rounding."""
    if duration is None or len(spans) != 1:
        return False
    return spans[0].start <= _ROUNDING and spans[0].end >= duration - _ROUNDING
