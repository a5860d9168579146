"""The codec protocol: waveforms to codes and back, whole or streamed, and the numbers that describe a codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from valle.audio import Samples


GIVEN = "given"
"""Revision of a codec whose weights are not here, for codes that were computed elsewhere."""
Codes = NDArray[np.int16]  # [K, T]: codebook, frame

CodesToLearn = Literal["new", "kept"]
"""Codebooks of a codec training: computed from its corpus (`new`), or the shipped ones (`kept`)."""


CodebookOrder = Literal["residual", "parallel"]
"""`residual`: each codebook refines the sum of those before. `parallel`: each encodes its own part of the frame, as
grouped FSQ does, and none is coarser than another."""


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """The numbers of a codec: all that the language model depends on."""

    name: str
    revision: str
    sample_rate: int
    hop_length: int
    num_codebooks: int
    codebook_size: int
    order: CodebookOrder = "residual"

    @property
    def label(self) -> str:
        """Return `name@revision`, the label in tables and reports; equal labels mean interchangeable codes."""
        return f"{self.name}@{self.revision}"

    @property
    def frame_rate(self) -> float:
        """Return the frames a second."""
        return self.sample_rate / self.hop_length

    @property
    def bits_per_second(self) -> float:
        """Return the bit rate of the codes without entropy coding."""
        return self.frame_rate * self.num_codebooks * float(np.log2(self.codebook_size))

    def num_frames(self, num_samples: int) -> int:
        """Return the frames of `num_samples` samples; a partial last hop counts as one."""
        return -(-num_samples // self.hop_length)


class CodecStream(Protocol):
    """Decode the codes of one clip in pieces; the pieces join to `Codec.decode` of the whole within 1e-4.

    Buffers are bounded: they do not grow with the clip.
    """

    @property
    def latency_frames(self) -> int:
        """Return how many later frames must be known before a frame is emitted."""

    def push(self, codes: Codes) -> Samples:
        """Return the samples [N], possibly none, that codes [K', T] complete; K' is the same in every push."""

    def finish(self) -> Samples:
        """Return the remaining samples [N]; the stream accepts no codes afterwards."""


class Codec(Protocol):
    """A neural codec. Batches give the same codes as single clips, bit for bit, at fp32 on the CPU."""

    @property
    def spec(self) -> CodecSpec:
        """Return the numbers that describe the codec."""

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """Return the vector of each entry of each codebook, [K, N, D]; a frame is the sum of its entries."""

    def encode(self, waveforms: Sequence[Samples]) -> list[Codes]:
        """Encode mono float32 waveforms [N_i] at `spec.sample_rate` as int16 codes [K, ceil(N_i / hop)]."""

    def decode(self, codes: Sequence[Codes]) -> list[Samples]:
        """Decode codes [K', T_i] with any K' from 1 to K to float32 waveforms [T_i * hop].

        A missing codebook of a residual codec contributes nothing, one of a parallel codec its middle entry.
        """

    def stream(self) -> CodecStream:
        """Open a stream that decodes one clip in pieces."""
