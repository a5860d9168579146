"""Change the tempo of a stream of speech at the same pitch."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from valle.audio import Samples

# Least factor of one filter of FFmpeg; a smaller one is a chain.
_SLOWEST = 0.5


class Tempo:
    """Speak `speed` times as fast, with FFmpeg's `atempo` (overlap of similar pieces)."""

    def __init__(self, speed: float, sample_rate: int) -> None:
        import av

        self._sample_rate = sample_rate
        self._num_samples = 0
        self._graph: Any = None
        if speed == 1:
            return
        self._graph = av.filter.Graph()
        filters = [
            self._graph.add_abuffer(
                format="flt", sample_rate=sample_rate, layout="mono", time_base=Fraction(1, sample_rate)
            )
        ]
        while speed < _SLOWEST:
            filters.append(self._graph.add("atempo", str(_SLOWEST)))
            speed /= _SLOWEST
        filters.append(self._graph.add("atempo", f"{speed:.6f}"))
        filters.append(self._graph.add("abuffersink"))
        self._graph.link_nodes(*filters).configure()

    def push(self, samples: Samples) -> Samples:
        """Return the samples [N], possibly none, that are complete."""
        if self._graph is None or not len(samples):
            return samples
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="flt", layout="mono")
        frame.sample_rate, frame.pts = self._sample_rate, self._num_samples
        frame.time_base = Fraction(1, self._sample_rate)
        self._num_samples += len(samples)
        self._graph.push(frame)
        return self._pull()

    def finish(self) -> Samples:
        """Return the remaining samples."""
        if self._graph is None or not self._num_samples:
            return np.zeros(0, dtype=np.float32)
        self._graph.push(None)
        return self._pull()

    def _pull(self) -> Samples:
        import av

        pulled = [np.zeros(0, dtype=np.float32)]
        while True:
            try:
                pulled.append(self._graph.pull().to_ndarray().reshape(-1))
            except (av.BlockingIOError, av.EOFError):
                return np.concatenate(pulled)


class Pace:
    """A tempo for each sentence of a stream: samples that are announced with their tempo, in order."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._ahead: deque[tuple[int, float]] = deque()  # samples that are still to come, and their speed
        self._tempo = Tempo(1.0, sample_rate)

    def expect(self, num_samples: int, speed: float) -> None:
        """Announce samples; those of one speed that follow each other are one span."""
        if not num_samples:
            return
        if self._ahead and self._ahead[-1][1] == speed:
            num_samples += self._ahead.pop()[0]
        elif not self._ahead:
            self._tempo = Tempo(speed, self._sample_rate)
        self._ahead.append((num_samples, speed))

    def push(self, samples: Samples) -> Samples:
        """Return announced samples [N] at their tempo."""
        paced = []
        while len(samples):
            left, speed = self._ahead[0]
            paced.append(self._tempo.push(samples[:left]))
            if len(samples) < left:
                self._ahead[0] = left - len(samples), speed
                break
            samples = samples[left:]
            paced.append(self._next())
        return np.concatenate([*paced, np.zeros(0, dtype=np.float32)])

    def _next(self) -> Samples:
        """End a span and begin the one after it."""
        last = self._tempo.finish()
        self._ahead.popleft()
        self._tempo = Tempo(self._ahead[0][1] if self._ahead else 1.0, self._sample_rate)
        return last

    def whole(self, samples: Samples, speed: float) -> Samples:
        """Return all samples of a sentence at one tempo."""
        self.expect(len(samples), speed)
        return self.push(samples)
