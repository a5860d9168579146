"""Streaming decode by windows, for a decoder that sees a bounded number of frames to both sides."""

from collections.abc import Callable

import numpy as np

from valle.audio import Samples
from valle.codec.base import Codes


class WindowStream:
    """Decode one clip in pieces that join to the whole.

    `decode` maps codes [K, T] to samples [T * hop]; a sample of frame t depends on frames t - context to t + context.
    Each piece is decoded with that context and cut out, so the cost of a push grows with the context, never with the
    clip.
    """

    def __init__(self, decode: Callable[[Codes], Samples], *, hop_length: int, context: int) -> None:
        self._decode, self._hop_length, self._context = decode, hop_length, context
        self._codes: Codes | None = None
        self._first = 0  # index of the first buffered frame
        self._num_emitted = 0

    @property
    def latency_frames(self) -> int:
        """Return how many later frames must be known before a frame is emitted."""
        return self._context

    def push(self, codes: Codes) -> Samples:
        """Return the samples [N], possibly none, that codes [K, T] complete."""
        self._codes = codes if self._codes is None else np.concatenate([self._codes, codes], axis=1)
        return self._emit(self._first + self._codes.shape[1] - self._context)

    def finish(self) -> Samples:
        """Return the remaining samples; the stream accepts no codes afterwards."""
        if self._codes is None:
            return np.zeros(0, np.float32)
        return self._emit(self._first + self._codes.shape[1])

    def _emit(self, until: int) -> Samples:
        if self._codes is None or until <= self._num_emitted:
            return np.zeros(0, np.float32)
        decoded = self._decode(self._codes)
        piece = slice((self._num_emitted - self._first) * self._hop_length, (until - self._first) * self._hop_length)
        self._num_emitted = until
        needed = max(0, until - self._context)
        self._codes = self._codes[:, needed - self._first :]
        self._first = needed
        return decoded[piece]


class ChunkStream:
    """Decode one clip in pieces, for a codec whose chunks of `chunk_frames` frames do not depend on each other."""

    def __init__(self, decode: Callable[[Codes], Samples], *, chunk_frames: int) -> None:
        self._decode, self._chunk_frames = decode, chunk_frames
        self._codes: Codes | None = None

    @property
    def latency_frames(self) -> int:
        """Return how many later frames must be known before a frame is emitted: the rest of its chunk."""
        return self._chunk_frames - 1

    def push(self, codes: Codes) -> Samples:
        """Return the samples [N], possibly none, of the chunks that codes [K, T] complete."""
        self._codes = codes if self._codes is None else np.concatenate([self._codes, codes], axis=1)
        return self._emit(self._codes.shape[1] // self._chunk_frames * self._chunk_frames)

    def finish(self) -> Samples:
        """Return the samples of the last, shorter chunk; the stream accepts no codes afterwards."""
        return self._emit(0 if self._codes is None else self._codes.shape[1])

    def _emit(self, num_frames: int) -> Samples:
        if self._codes is None or num_frames == 0:
            return np.zeros(0, np.float32)
        samples = self._decode(self._codes[:, :num_frames])
        self._codes = self._codes[:, num_frames:]
        return samples
