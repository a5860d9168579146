"""Detect speech: 16 kHz samples, in one array or as a stream, to speech probabilities and speech spans.

The default is Silero VAD (MIT); its ONNX graph over a sequence of frames is in the `silero-vad` wheel. The state is
passed from block to block, so a recording of any length needs the memory of one block.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from valle.audio import Samples
from valle.backends.weights import file_revision, package_file
from warehouse.errors import unknown_name
from warehouse.rows import Span

SAMPLE_RATE = 16_000
FRAME_LENGTH = 512
"""Samples per probability: 32 ms."""
FRAME_SECONDS = FRAME_LENGTH / SAMPLE_RATE
_CONTEXT = 64  # samples of the frame before that the graph needs in front of each frame
_BLOCK_FRAMES = 1024

Probabilities = NDArray[np.float32]  # [frames]


class VoiceActivityDetector(Protocol):
    """A model that gives each 32 ms frame of a 16 kHz stream a speech probability."""

    def speech_probabilities(self, blocks: Iterable[Samples]) -> Probabilities:
        """Return one probability per 512 samples of consecutive 16 kHz blocks; the last frame is zero-padded."""

    def speech_spans(self, samples: Samples) -> list[Span]:
        """Return the spans of speech in 16 kHz samples, in seconds and in order."""


def spans_from_probabilities(
    probabilities: Probabilities,
    *,
    onset: float = 0.5,
    offset: float = 0.35,
    min_speech: float = 0.25,
    min_pause: float = 0.1,
) -> list[Span]:
    """Find speech spans by hysteresis: from `onset` until the probability is below `offset` for `min_pause` seconds.

    Spans shorter than `min_speech` seconds are noise and are omitted.
    """
    starts_and_ends: list[tuple[int, int]] = []
    min_pause_frames = max(1, round(min_pause / FRAME_SECONDS))
    start = quiet_since = -1
    for frame, probability in enumerate(probabilities.tolist()):
        if probability >= onset:
            start, quiet_since = (frame if start < 0 else start), -1
        elif start >= 0 and probability < offset:
            quiet_since = frame if quiet_since < 0 else quiet_since
            if frame - quiet_since + 1 >= min_pause_frames:
                starts_and_ends.append((start, quiet_since))
                start = quiet_since = -1
        elif start >= 0:  # at or above the offset: the pause was too short
            quiet_since = -1
    if start >= 0:
        starts_and_ends.append((start, quiet_since if quiet_since >= 0 else len(probabilities)))
    return [
        Span(start=start * FRAME_SECONDS, end=end * FRAME_SECONDS)
        for start, end in starts_and_ends
        if (end - start) * FRAME_SECONDS >= min_speech
    ]


def frames_of(blocks: Iterable[Samples]) -> Iterable[Samples]:
    """Regroup a stream into arrays [n, 512] of whole frames; the last frame is padded with zeros."""
    rest: Samples = np.zeros(0, np.float32)
    for block in blocks:
        # A long block is passed in pieces, which bound the memory of one call of the session.
        rest = np.concatenate((rest, block)) if len(rest) else block
        for begin in range(0, len(rest) - FRAME_LENGTH + 1, _BLOCK_FRAMES * FRAME_LENGTH):
            chunk = rest[begin : begin + _BLOCK_FRAMES * FRAME_LENGTH]
            yield chunk[: len(chunk) // FRAME_LENGTH * FRAME_LENGTH].reshape(-1, FRAME_LENGTH)
        rest = rest[len(rest) // FRAME_LENGTH * FRAME_LENGTH :]
    if len(rest):
        yield np.pad(rest, (0, FRAME_LENGTH - len(rest))).reshape(1, FRAME_LENGTH)


class SileroVad:
    """Silero VAD over ONNX Runtime. Deterministic, and the same for any split of a stream into blocks."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )

    def speech_probabilities(self, blocks: Iterable[Samples]) -> Probabilities:
        """Return speech probabilities, as `VoiceActivityDetector` defines them."""
        hidden = np.zeros((1, 1, 128), np.float32)
        cell = np.zeros((1, 1, 128), np.float32)
        context = np.zeros((1, _CONTEXT), np.float32)
        probabilities: list[Probabilities] = []
        for frames in frames_of(blocks):
            tails = np.concatenate((context, frames[:, -_CONTEXT:]))
            padded = np.ascontiguousarray(np.concatenate((tails[:-1], frames), axis=1), dtype=np.float32)
            values, hidden, cell = self._session.run(
                ["speech_probs", "hn", "cn"], {"input": padded, "h": hidden, "c": cell}
            )
            context = tails[-1:]
            probabilities.append(values.reshape(-1))
        return np.concatenate(probabilities) if probabilities else np.zeros(0, np.float32)

    def speech_spans(self, samples: Samples) -> list[Span]:
        """Return speech spans; the padding of the last frame is never part of one."""
        duration = len(samples) / SAMPLE_RATE
        spans = spans_from_probabilities(self.speech_probabilities([samples]))
        return [Span(start=span.start, end=min(span.end, duration)) for span in spans]


def _silero_path() -> Path:
    return package_file("silero_vad", "data/silero_vad_16k_sequence.onnx", command="pip install 'silero-vad>=6.2'")


def _check_name(name: str) -> None:
    if name != "silero":
        raise unknown_name("voice activity detector", name, ["silero"])


def open_voice_activity(name: str, *, threads: int = 1) -> VoiceActivityDetector:
    """Open the detector `name`; raise DependencyError when its weights are not installed."""
    _check_name(name)
    return SileroVad(_silero_path(), threads=threads)


def voice_activity_revision(name: str) -> str:
    """Return the name and the revision of the weights, without loading them."""
    _check_name(name)
    return f"{name}@{file_revision(_silero_path())}"
