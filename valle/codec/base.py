"""What a codec is to the rest of the system: waveforms to codes and back, and the numbers that describe it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from valle.audio import Samples

Codes = NDArray[np.int16]  # [K, T]: codebook, frame

CodesToLearn = Literal["new", "kept"]
"""Codes computed from the speech that is given, or the shipped ones as they are."""


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """The numbers of a codec; the language model learns them from here and knows nothing else of it."""

    name: str
    revision: str
    sample_rate: int
    hop_length: int
    num_codebooks: int
    codebook_size: int

    @property
    def label(self) -> str:
        """What tables and reports call it: its name and which codes it makes."""
        return f"{self.name}@{self.revision}"

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length

    @property
    def bits_per_second(self) -> float:
        """Rate of the codes without entropy coding."""
        return self.frame_rate * self.num_codebooks * float(np.log2(self.codebook_size))

    def num_frames(self, num_samples: int) -> int:
        """Frames that `num_samples` samples become: the last, partial hop counts as one."""
        return -(-num_samples // self.hop_length)


class Codec(Protocol):
    """A neural codec. Batches give the same codes as single clips, bit for bit, at fp32 on the CPU."""

    @property
    def spec(self) -> CodecSpec:
        """Its numbers."""

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """The vector that each entry of each codebook stands for, [K, N, D]; a frame is the sum of its entries."""

    def encode(self, waveforms: Sequence[Samples]) -> list[Codes]:
        """Mono float32 waveforms [N_i] at `spec.sample_rate` to int16 codes [K, ceil(N_i / hop)]."""

    def decode(self, codes: Sequence[Codes]) -> list[Samples]:
        """Codes [K', T_i] with any K' from 1 to K to float32 waveforms [T_i * hop]."""
