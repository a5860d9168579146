"""Read a list of Lhotse cuts line by line, without Lhotse, so that a list of any length needs no memory."""

import gzip
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from manifests.reading.languages import language_of
from manifests.reading.regular import open_regular
from manifests.reading.sidecar import Sidecar, parse_json
from manifests.reading.transcripts import is_no_speech, write_punctuation
from manifests.reading.values import label_of, number_of, text_of
from warehouse.rows import Span

# Seconds by which a cut may be longer than its only supervision; the cut is the segment then.
_MARGIN = 2.0
_ROUNDING = 0.02  # seconds by which a supervision may miss the ends of its cut
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class CutLine:
    """One line of the list: its first byte in the uncompressed list, that of the next line, and the cut."""

    start: int
    end: int
    cut: Sidecar

    @property
    def recording(self) -> Mapping[str, Any]:
        """The recording of the cut as a mapping, empty when there is none."""
        return mapping_of(self.cut.values.get("recording"))

    @property
    def recording_name(self) -> str:
        """The id of the recording; unique to the line when there is none."""
        return label_of(self.recording.get("id")) or f"line at {self.start}"

    @property
    def audio_name(self) -> tuple[str, str]:
        """The id of the recording with its files: lists joined from several folders repeat ids."""
        return self.recording_name, repr(self.recording.get("sources"))

    @property
    def cut_name(self) -> str:
        """The id of the cut; its position when there is none."""
        return label_of(self.cut.values.get("id")) or str(self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPiece:
    """A span of a recording with what one supervision declares about it; no supervision declares nothing."""

    line: CutLine
    span: Span
    channel: int | None = None
    text: str | None = None
    speaker: str | None = None
    language: str | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def read_cut_lines(path: Path, start: int) -> Iterator[CutLine]:
    """Yield the lines that begin at byte `start` of the uncompressed list or later; blank ones are left out.

    Where the list cannot be read any further, a last line of one byte has the fault.
    """
    try:
        with open_regular(str(path)) as raw:
            file = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw)
            file.seek(start)
            for line in file:
                end = start + len(line)
                if line.strip():
                    yield CutLine(start, end, parse_json(line))
                start = end
    except (OSError, EOFError, zlib.error) as error:
        yield CutLine(start, start + 1, Sidecar(fault=f"the list breaks off: {error}"))


def cut_fault(line: CutLine) -> str | None:
    """Return why a line is not a window of one plain file, or None."""
    if line.cut.fault:
        return line.cut.fault
    kind = line.cut.values.get("type", "MonoCut")
    if kind not in ("MonoCut", "MultiCut", "Cut"):
        return f"a {kind} is no window of one recording"
    if not line.recording:
        return "the line has no recording; join recordings and supervisions to cuts first"
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


def pieces_of(line: CutLine) -> list[CutPiece]:
    """Return the pieces of a cut without fault: one per supervision, or the cut itself where it has none.

    The only supervision of a cut applies to all of it, unless the cut is much longer. Supervisions that are tagged as
    music or noise are left out.
    """
    cut = line.cut.values
    start, duration = number_of(cut.get("start")) or 0.0, number_of(cut.get("duration")) or 0.0
    window = Span(start=start, end=start + duration)
    listed = cut.get("supervisions")
    # The JSON is anybody's: a supervision that is no object is left out like one without times.
    supervisions = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    if not supervisions:
        return [CutPiece(line=line, span=window, channel=_channel_of(cut))]
    pieces = []
    for item in supervisions:
        text = _text_of(item)
        span = _span_of(item, window, is_only=len(supervisions) == 1)
        if span.start < span.end and not (text and is_no_speech(text)):
            pieces.append(_piece(line, item, span, text))
    return pieces


def _piece(line: CutLine, item: Mapping[str, Any], span: Span, text: str | None) -> CutPiece:
    gender = {"gender": item["gender"]} if item.get("gender") else {}
    channel = _channel_of(item)
    return CutPiece(
        line=line,
        span=span,
        channel=_channel_of(line.cut.values) if channel is None else channel,
        text=write_punctuation(text) if text else None,
        speaker=label_of(item.get("speaker")),
        language=language_of(item.get("language")),
        custom={**mapping_of(item.get("custom")), **gender},
    )


def _text_of(item: Mapping[str, Any]) -> str | None:
    """Return the text of a supervision; LibriHeavy has it, with punctuation first, in `custom.texts`."""
    texts = mapping_of(item.get("custom")).get("texts")
    return text_of(item.get("text")) or (text_of(texts[0]) if isinstance(texts, list) and texts else None)


def _span_of(item: Mapping[str, Any], window: Span, *, is_only: bool) -> Span:
    """Return the span of a supervision in the recording.

    It may begin before the cut and end after it, as the pieces of a cut that was divided into windows do: the text is
    that of all of it.
    """
    start, duration = number_of(item.get("start")) or 0.0, number_of(item.get("duration"))
    if duration is None:
        return window
    length = window.end - window.start
    is_inside = start >= -_ROUNDING and start + duration <= length + _ROUNDING
    if is_only and is_inside and length - duration <= _MARGIN:
        return window
    begin = window.start + start
    # The windows of one supervision compute its ends in different ways.
    return Span(start=max(0.0, round(begin, _DECIMALS)), end=round(begin + duration, _DECIMALS))


def _channel_of(item: Mapping[str, Any]) -> int | None:
    channel = item.get("channel")
    if isinstance(channel, list) and len(channel) == 1:
        channel = channel[0]
    return channel if isinstance(channel, int) and not isinstance(channel, bool) and channel >= 0 else None


@dataclass(frozen=True, slots=True)
class LocatedAudio:
    """The file of a recording; `is_guess` when it was found by the end of its path alone."""

    path: str
    is_guess: bool


def locate_audio(location: str, folder: Path) -> LocatedAudio:
    """Return the file at `location`, below the folder of the list or one above it: recipes use both.

    A list from another place names folders that do not exist: then the longest end
    of the path, of two names at least, that exists below one of these folders.
    """
    # Published lists name `download/librilight/...`: one of their folders is where the user keeps the corpus.
    bases = (folder, *folder.parents)
    parts = PurePosixPath(location).parts
    for first in range(max(1, len(parts) - 1)):
        ending = location if first == 0 else "/".join(parts[first:])
        for base in bases:
            path = str(base / ending)
            if os.path.isfile(path):  # noqa: PTH113 - plain strings
                return LocatedAudio(path, is_guess=first > 0)
    return LocatedAudio(str(folder / location), is_guess=False)
