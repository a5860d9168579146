"""Segment recordings: the corpus's own utterances and spans where it declares them, else speech between pauses.

The stage streams its audio itself, block by block, and only when it must: an utterance with its text is one segment
as it is, and declared spans need no audio unless one of them is too long.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
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
from valle.stages.base import NO_AUDIO, STRICT, AudioNeed, Decibels, Drop, Seconds, Several, Stage, StageInput, WorkItem
from valle.stages.rules.cutting import CutSpan, CuttingRules, cut
from warehouse.catalogue.planning import InputView
from warehouse.rows import SegmentPayload, SegmentRow, Span, StageRow

GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Activity:
    """Probability of speech and RMS in dBFS of every frame of 32 ms, from `start` seconds on."""

    probabilities: NDArray[np.float32]  # [frames]
    rms_dbfs: NDArray[np.float32]  # [frames]
    start: float = 0.0

    def spans(self) -> list[Span]:
        """Return the speech spans in seconds of the recording."""
        return [
            Span(start=self.start + span.start, end=self.start + span.end)
            for span in spans_from_probabilities(self.probabilities)
        ]

    def quietest(self, earliest: float, latest: float) -> float:
        """Return the middle of the quietest frame between two seconds of the recording."""
        first = max(0, int((earliest - self.start) / FRAME_SECONDS))
        last = max(first + 1, int((latest - self.start) / FRAME_SECONDS))
        window = self.rms_dbfs[first:last]
        if len(window) == 0:
            return latest
        return min(latest, max(earliest, self.start + (first + int(window.argmin()) + 0.5) * FRAME_SECONDS))


def measure_activity(location: AudioLocation, detector: VoiceActivityDetector, *, start: float = 0.0) -> Activity:
    """Measure the voice activity of a span of audio, read as a stream. Raises UnreadableAudio."""
    rms_dbfs: list[NDArray[np.float32]] = []

    def measured_frames() -> Iterator[Samples]:
        for frames in frames_of(read_blocks(location, SAMPLE_RATE)):
            power = np.square(frames, dtype=np.float64).mean(axis=1)
            rms_dbfs.append((10 * np.log10(power + 1e-12)).astype(np.float32))
            yield frames.reshape(-1)

    probabilities = detector.speech_probabilities(measured_frames())
    return Activity(probabilities, np.concatenate(rms_dbfs) if rms_dbfs else np.zeros(0, np.float32), start)


@options(frozen=True, kw_only=True, config=STRICT)
class Segment(Stage):
    """Options of segmentation. Durations are in seconds."""

    name: ClassVar[str] = "segment"
    version: ClassVar[int] = 1
    reads: ClassVar[InputView] = "recordings"
    writes: ClassVar[type[StageRow]] = SegmentRow

    detector: str = "silero"
    """Voice activity detector."""
    min_duration: Seconds = 1.0
    """Shorter pieces of speech are joined to a neighbour or dropped as `too_short`."""
    max_duration: Seconds = 20.0
    """Longer stretches are split at their longest pause, repeatedly."""
    max_pause: Annotated[float, Field(ge=0, le=86_400)] = 1.0
    """A longer pause always ends a segment."""
    margin: Annotated[float, Field(ge=0, le=60)] = 0.1
    """Silence kept on either side; covers the 80 ms by which declared spans may be off."""
    use_given: bool = True
    """Trust the corpus: an utterance with its text is one segment, declared spans replace detection."""
    min_given_duration: Annotated[float, Field(ge=0, le=86_400)] = 0.2
    """Shorter utterances with text are dropped as `too_short`."""
    silence_level: Decibels = -60.0
    """A recording whose loudest frame is below this many dBFS is `silent`."""

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
    def audio(self) -> AudioNeed:
        """None: the stage streams what it needs from the recording."""
        return NO_AUDIO

    @property
    def batch_seconds(self) -> float:
        """Recordings are cut one by one; the number bounds how many a kill loses."""
        return 600.0

    @property
    def revision(self) -> str:
        """The detector's name and weights."""
        return voice_activity_revision(self.detector)

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[Several | Drop]:
        """Cut every recording into segments; drop it as a whole when it has no usable speech."""
        return [self._outcome(item.input, models) for item in items]

    def _outcome(self, source: StageInput, models: Backends) -> Several | Drop:
        if self.use_given and (source.text or "").strip():
            whole = self._given(source, CutSpan(0.0, source.duration, GIVEN))
            return Several((whole,))
        given = self._given_spans(source) if self.use_given else {}
        if given and all(source.span_texts):
            return Several(tuple(given.values()))
        if given:
            spans = zip(source.spans, source.span_texts, strict=True)
            source = replace(source, spans=tuple(span for span, text in spans if not text))
        try:
            pieces = self._pieces(source, models)
        except UnreadableAudio as error:
            pieces = Drop(error.reason, error.detail)
        if isinstance(pieces, Drop):
            return Several((*given.values(), pieces)) if given else pieces
        if not pieces and not given:
            return Drop("no_speech", "no span of speech is longer than a frame of the detector")
        cut_pieces = {_payload(source, piece).segment_id: self._checked(source, piece) for piece in pieces}
        return Several((*given.values(), *(piece for name, piece in cut_pieces.items() if name not in given)))

    def _given_spans(self, source: StageInput) -> dict[str, SegmentPayload | Drop]:
        """Return an outcome by id for each declared span that has a text; neither is joined to a neighbour."""
        outcomes: dict[str, SegmentPayload | Drop] = {}
        for span, text in zip(source.spans, source.span_texts, strict=False):
            if text:
                end = min(span.end, source.duration)
                piece = CutSpan(min(max(0.0, span.start), end), end, GIVEN)
                outcomes.setdefault(_payload(source, piece).segment_id, self._given(source, piece, text))
        return outcomes

    def _given(self, source: StageInput, piece: CutSpan, text: str | None = None) -> SegmentPayload | Drop:
        """Return the outcome of a span with a text, which cannot be split; `text` None is that of the recording."""
        payload = _payload(source, piece, text)
        if piece.duration > self.max_duration:
            return Drop("too_long", f"{piece.duration:.1f} s; its text cannot be split with it", payload)
        if piece.duration < self.min_given_duration:
            return Drop("too_short", f"{piece.duration:.2f} s", payload)
        return payload

    def _checked(self, source: StageInput, piece: CutSpan) -> SegmentPayload | Drop:
        payload = _payload(source, piece)
        if piece.duration < self.min_duration:
            return Drop("too_short", f"{piece.duration:.2f} s of speech without a neighbour", payload)
        return payload

    def _pieces(self, source: StageInput, models: Backends) -> list[CutSpan] | Drop:
        if self.use_given and source.spans:
            return self._from_spans(source, models)
        activity = measure_activity(source.location, models.voice_activity(self.detector))
        loudest = float(activity.rms_dbfs.max()) if len(activity.rms_dbfs) else -120.0
        if loudest < self.silence_level:
            return Drop("silent", f"loudest frame at {loudest:.0f} dBFS")
        speech = activity.spans()
        if not speech:
            return Drop("no_speech", f"highest probability {activity.probabilities.max():.2f}")
        return cut(_clipped(speech, source.duration), source.duration, rules=self._rules(), quietest=activity.quietest)

    def _from_spans(self, source: StageInput, models: Backends) -> list[CutSpan] | Drop:
        declared = _clipped(source.spans, source.duration)
        if not declared:
            return Drop("no_speech", "all declared spans are outside the recording")
        longest = self.max_duration - 2 * self.margin
        speech: list[Span] = []
        measured: list[Activity] = []
        for span in declared:
            if span.end - span.start <= longest:
                speech.append(span)
                continue
            # Only a span that has to be split needs its audio.
            activity = self._activity_of(source, span, models)
            measured.append(activity)
            speech.extend(_clipped(activity.spans(), span.end) or [span])

        def quietest(earliest: float, latest: float) -> float:
            before = [activity for activity in measured if activity.start <= earliest]
            return before[-1].quietest(earliest, latest) if before else latest

        return cut(speech, source.duration, rules=self._rules(), quietest=quietest)

    def _activity_of(self, source: StageInput, span: Span, models: Backends) -> Activity:
        first = round(span.start * source.sample_rate)
        location = replace(
            source.location,
            start_sample=source.location.start_sample + first,
            num_samples=round(span.end * source.sample_rate) - first,
        )
        return measure_activity(location, models.voice_activity(self.detector), start=span.start)


def _clipped(spans: Sequence[Span], duration: float) -> list[Span]:
    """Return the spans inside `duration` seconds that are longer than a frame of the detector."""
    inside = [Span(start=max(0.0, span.start), end=min(span.end, duration)) for span in spans]
    return [span for span in inside if span.end - span.start > FRAME_LENGTH / SAMPLE_RATE]


def _payload(source: StageInput, piece: CutSpan, text: str | None = None) -> SegmentPayload:
    total = round(source.duration * source.sample_rate)
    first = min(total, max(0, round(piece.start * source.sample_rate)))
    last = min(total, round(piece.end * source.sample_rate))
    return SegmentPayload(
        segment_id=f"{source.recording_id}_{first:010d}_{last:010d}",
        start=first / source.sample_rate,
        duration=(last - first) / source.sample_rate,
        start_sample=first,
        num_samples=last - first,
        cut=piece.cut,
        given_text=text,
    )
