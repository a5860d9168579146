"""Recordings to segments: the corpus's own utterances and spans where it has them, else speech between pauses.

The stage reads its audio itself, block by block, and only when it has to: an utterance with its text is one segment as
it is, and declared spans need no audio unless one of them is too long.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass as options

from valle.audio import AudioLocation, Samples, UnreadableAudio, read_blocks
from valle.backends.registry import Backends
from valle.backends.vad import (
    FRAME_LENGTH,
    FRAME_SECONDS,
    SAMPLE_RATE,
    VoiceActivityDetector,
    frames_of,
    spans_from_probabilities,
    voice_activity_revision,
)
from valle.stages.base import STRICT, StageInput, WorkItem
from valle.stages.cutting import CutSpan, CuttingRules, cut
from warehouse.rows import SegmentRow, Span

GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Activity:
    """Per frame of 32 ms: the probability of speech and the level in dBFS."""

    probabilities: NDArray[np.float32]  # [frames]
    levels: NDArray[np.float32]  # [frames]
    start: float = 0.0

    def spans(self) -> list[Span]:
        """Speech spans in seconds of the recording."""
        return [
            Span(start=self.start + span.start, end=self.start + span.end)
            for span in spans_from_probabilities(self.probabilities)
        ]

    def quietest(self, earliest: float, latest: float) -> float:
        """The middle of the quietest frame between two seconds of the recording."""
        first = max(0, int((earliest - self.start) / FRAME_SECONDS))
        last = max(first + 1, int((latest - self.start) / FRAME_SECONDS))
        window = self.levels[first:last]
        if len(window) == 0:
            return latest
        return min(latest, max(earliest, self.start + (first + int(window.argmin()) + 0.5) * FRAME_SECONDS))


def measure_activity(location: AudioLocation, detector: VoiceActivityDetector, *, start: float = 0.0) -> Activity:
    """Voice activity of a span of audio, read as a stream. Raises UnreadableAudio."""
    levels: list[NDArray[np.float32]] = []

    def listened() -> Iterator[Samples]:
        for frames in frames_of(read_blocks(location, SAMPLE_RATE)):
            power = np.square(frames, dtype=np.float64).mean(axis=1)
            levels.append((10 * np.log10(power + 1e-12)).astype(np.float32))
            yield frames.reshape(-1)

    probabilities = detector.speech_probabilities(listened())
    return Activity(probabilities, np.concatenate(levels) if levels else np.zeros(0, np.float32), start)


@options(frozen=True, kw_only=True, config=STRICT)
class Segment:
    """Options of segmentation. Durations are in seconds."""

    name: ClassVar[str] = "segment"
    version: ClassVar[int] = 1
    reads: ClassVar[str] = "recordings"
    writes: ClassVar[type] = SegmentRow

    detector: str = "silero"
    """Voice activity detector."""
    min_duration: float = 1.0
    """Shorter pieces of speech are joined to a neighbour or dropped as `too_short`."""
    max_duration: float = 20.0
    """Longer stretches are split at their longest pause, again and again."""
    max_pause: float = 1.0
    """A longer pause always ends a segment."""
    margin: float = 0.1
    """Silence kept on either side; covers the 80 ms by which declared spans may be off."""
    use_given: bool = True
    """Trust the corpus: an utterance with its text is one segment, declared spans replace detection."""
    min_given_duration: float = 0.2
    """Shorter utterances with text are dropped as `too_short`."""
    silence_level: float = -60.0
    """A recording whose loudest frame lies below this many dBFS is `silent`."""

    def __post_init__(self) -> None:
        self._rules()

    def _rules(self) -> CuttingRules:
        return CuttingRules(
            min_duration=self.min_duration,
            max_duration=self.max_duration,
            max_pause=self.max_pause,
            margin=self.margin,
        )

    @property
    def audio_rate(self) -> int | None:
        """None: the stage streams what it needs from the recording."""
        return None

    @property
    def batch_seconds(self) -> float:
        """Recordings are taken one after another; the number only bounds how many are one call, and lost by a kill."""
        return 600.0

    def revision(self, backends: Backends) -> str:
        """The detector's name and weights."""
        return voice_activity_revision(self.detector)

    def process(self, items: Sequence[WorkItem], backends: Backends) -> list[SegmentRow]:
        """At least one row per recording."""
        return [row for item in items for row in self._rows(item.input, backends)]

    def drop(self, source: StageInput, reason: str, detail: str) -> SegmentRow:
        """The row of a recording that yields nothing."""
        return self._row(source, CutSpan(0.0, source.duration, GIVEN), reason, detail)

    def _rows(self, source: StageInput, backends: Backends) -> list[SegmentRow]:
        if self.use_given and (source.text or "").strip():
            return [self._given(source, CutSpan(0.0, source.duration, GIVEN))]
        given = self._given_spans(source) if self.use_given else {}
        if given and all(source.span_texts):
            return list(given.values())
        if given:
            without_text = zip(source.spans, source.span_texts, strict=True)
            source = replace(source, spans=tuple(span for span, text in without_text if not text))
        try:
            pieces = self._pieces(source, backends)
        except UnreadableAudio as error:
            pieces = self.drop(source, error.reason, error.detail)
        rows = [pieces] if isinstance(pieces, SegmentRow) else [self._row(source, p, *self._fault(p)) for p in pieces]
        return [*given.values(), *(row for row in rows if row.segment_id not in given)]

    def _given_spans(self, source: StageInput) -> dict[str, SegmentRow]:
        """Return a row by id for each declared span that has a text; neither is joined to a neighbour."""
        rows: dict[str, SegmentRow] = {}
        for span, text in zip(source.spans, source.span_texts, strict=False):
            if text:
                end = min(span.end, source.duration)
                row = self._given(source, CutSpan(min(max(0.0, span.start), end), end, GIVEN), text)
                rows.setdefault(row.segment_id, row)
        return rows

    def _given(self, source: StageInput, piece: CutSpan, text: str | None = None) -> SegmentRow:
        """Return the row of a span with a text, which cannot be split; `text` None is that of the whole recording."""
        reason, detail = None, None
        if piece.duration > self.max_duration:
            reason, detail = "too_long", f"{piece.duration:.1f} s; its text cannot be split with it"
        elif piece.duration < self.min_given_duration:
            reason, detail = "too_short", f"{piece.duration:.2f} s"
        return self._row(source, piece, reason, detail, text)

    def _fault(self, piece: CutSpan) -> tuple[str | None, str | None]:
        if piece.duration < self.min_duration:
            return "too_short", f"{piece.duration:.2f} s of speech on its own"
        return None, None

    def _pieces(self, source: StageInput, backends: Backends) -> list[CutSpan] | SegmentRow:
        if self.use_given and source.spans:
            return self._from_spans(source, backends)
        activity = measure_activity(source.location, backends.voice_activity(self.detector))
        if len(activity.levels) == 0 or activity.levels.max() < self.silence_level:
            loudest = float(activity.levels.max()) if len(activity.levels) else -120.0
            return self.drop(source, "silent", f"loudest frame at {loudest:.0f} dBFS")
        speech = activity.spans()
        if not speech:
            return self.drop(source, "no_speech", f"highest probability {activity.probabilities.max():.2f}")
        return cut(
            self._inside(speech, source.duration), source.duration, rules=self._rules(), quietest=activity.quietest
        )

    def _from_spans(self, source: StageInput, backends: Backends) -> list[CutSpan] | SegmentRow:
        declared = self._inside(source.spans, source.duration)
        if not declared:
            return self.drop(source, "no_speech", "all declared spans lie outside the recording")
        room = self.max_duration - 2 * self.margin
        speech: list[Span] = []
        stretches: list[Activity] = []
        for span in declared:
            if span.end - span.start <= room:
                speech.append(span)
                continue
            stretch = self._listen(source, span, backends)
            stretches.append(stretch)
            speech.extend(self._inside(stretch.spans(), span.end) or [span])

        def quietest(earliest: float, latest: float) -> float:
            holding = [stretch for stretch in stretches if stretch.start <= earliest]
            return holding[-1].quietest(earliest, latest) if holding else latest

        return cut(speech, source.duration, rules=self._rules(), quietest=quietest)

    def _listen(self, source: StageInput, span: Span, backends: Backends) -> Activity:
        first = round(span.start * source.sample_rate)
        location = replace(
            source.location,
            start_sample=source.location.start_sample + first,
            num_samples=round(span.end * source.sample_rate) - first,
        )
        return measure_activity(location, backends.voice_activity(self.detector), start=span.start)

    @staticmethod
    def _inside(spans: Sequence[Span], duration: float) -> list[Span]:
        clipped = [Span(start=max(0.0, span.start), end=min(span.end, duration)) for span in spans]
        return [span for span in clipped if span.end - span.start > FRAME_LENGTH / SAMPLE_RATE]

    @staticmethod
    def _row(
        source: StageInput, piece: CutSpan, reason: str | None, detail: str | None, text: str | None = None
    ) -> SegmentRow:
        total = round(source.duration * source.sample_rate)
        first = min(total, max(0, round(piece.start * source.sample_rate)))
        last = min(total, round(piece.end * source.sample_rate))
        return SegmentRow(
            segment_id=f"{source.recording_id}_{first:010d}_{last:010d}",
            recording_id=source.recording_id,
            corpus=source.corpus,
            shard=source.shard,
            fingerprint=source.fingerprint,
            start=first / source.sample_rate,
            duration=(last - first) / source.sample_rate,
            start_sample=first,
            num_samples=last - first,
            cut=piece.cut,
            given_text=text,
            drop_reason=reason,
            drop_detail=detail,
        )
