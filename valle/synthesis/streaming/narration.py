"""One text that is spoken as a stream: its sentences one after the other, through one stream of the codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from valle.synthesis.long_form import Narrator, Piece, find_problem
from valle.synthesis.streaming.tempo import Pace

if TYPE_CHECKING:
    from valle.audio import Samples
    from valle.codec.base import Codes
    from valle.synthesis.options import StreamOptions
    from valle.synthesis.synthesizer import Request
    from valle.synthesis.texts.marked_text import Sentence


@dataclass(frozen=True, slots=True)
class Chunk:
    """New samples [N], which may be none, and new codes [K, T] of a streamed text, pauses included.

    Samples follow their codes by the look-ahead of the codec. `piece` is the sentence that the chunk completes.
    """

    samples: Samples
    codes: Codes
    piece: Piece | None
    num_done: int
    num_pieces: int


class Narration:
    """State of a streamed text; see `StreamEngine`, which decodes its requests.

    A text may grow while it is spoken: `extend` adds sentences until `close`, from another thread, too.
    """

    def __init__(
        self, narrator: Narrator, sentences: Sequence[Sentence], options: StreamOptions, *, is_closed: bool = True
    ) -> None:
        self.options = options
        self.is_over = False
        """True when every sentence is done and the last samples are emitted."""
        self._narrator, self._sentences, self._is_closed = narrator, list(sentences), is_closed
        self._stream = narrator.synthesizer.codec.stream()
        self._pace = Pace(narrator.synthesizer.codec.spec.sample_rate)
        self._index = 0
        self.num_frames = 0
        """Frames of the sentences that are done."""
        self._codes: list[Codes] = []  # of the current sentence

    @property
    def is_idle(self) -> bool:
        """Return whether there is nothing to decode until the text grows."""
        return self._index == len(self._sentences) and not self._is_closed

    @property
    def needs_end(self) -> bool:
        """Return whether the text was closed after its last sentence was done: `end` emits the last samples."""
        return self._index == len(self._sentences) and self._is_closed and not self.is_over

    def extend(self, sentences: Sequence[Sentence]) -> None:
        """Add sentences to a text that is not closed."""
        assert not self._is_closed
        self._sentences += sentences

    def close(self) -> None:
        """Let the text end with the sentences it has."""
        self._is_closed = True

    def end(self) -> Chunk:
        """Return the samples after the last sentence."""
        empty = np.zeros((self._narrator.synthesizer.codec.spec.num_codebooks, 0), dtype=np.int16)
        return self._chunk(empty, None)

    def next_request(self) -> Request | None:
        """Return the request of the current sentence; None when it cannot be spoken, see `skip`."""
        sentence = self._sentences[self._index]
        return self._narrator.request(sentence, self._index) if sentence.symbols else None

    def skip(self) -> Chunk:
        """Pass the current sentence, which has no phonemes."""
        sentence = self._sentences[self._index]
        empty = np.zeros((self._narrator.synthesizer.codec.spec.num_codebooks, 0), dtype=np.int16)
        return self._chunk(empty, Piece(sentence.text, (), empty, self._seed(), problem=sentence.problem))

    def accept(self, codes: Codes, *, is_over: bool, is_complete: bool) -> Chunk:
        """Add codes [K, T] of the current sentence."""
        self._codes.append(codes)
        added, sentence = codes, self._sentences[self._index]
        is_start = codes.shape[1] == sum(block.shape[1] for block in self._codes)
        if codes.shape[1] and is_start:
            added = np.concatenate([self._narrator.pause(sentence, is_first=not self.num_frames), codes], axis=1)
        self._pace.expect(added.shape[1] * self._narrator.synthesizer.codec.spec.hop_length, sentence.rate)
        piece = self._finish(is_complete) if is_over else None
        return self._chunk(added, piece)

    def _finish(self, is_complete: bool) -> Piece:
        sentence = self._sentences[self._index]
        codes = np.concatenate(self._codes, axis=1)
        self._codes.clear()
        problem = find_problem(
            codes, codes.shape[1] / self._narrator.synthesizer.codec.spec.frame_rate, is_complete=is_complete
        )
        self.num_frames += codes.shape[1]
        piece = Piece(sentence.text, sentence.symbols, codes, self._seed(), problem=problem)
        self._narrator.finish(piece)
        return piece

    def _chunk(self, codes: Codes, piece: Piece | None) -> Chunk:
        samples = self._pace.push(self._stream.push(codes) if codes.shape[1] else np.zeros(0, dtype=np.float32))
        self._index += piece is not None
        if self._index == len(self._sentences) and self._is_closed:
            samples = np.concatenate([samples, self._pace.push(self._stream.finish())])
            self.is_over = True
        return Chunk(samples, codes, piece, self._index, len(self._sentences))

    def _seed(self) -> int:
        return self._narrator.seed(self._index)
