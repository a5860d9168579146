"""Voices as unit vectors: 16 kHz waveforms to embeddings whose dot product says how alike two voices are.

Cosines of different encoders are never comparable.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from valle.audio import Samples

SAMPLE_RATE = 16_000

Embedding = NDArray[np.float32]  # [D], unit length


class SpeakerEncoder(Protocol):
    """Turns speech into a vector of its voice."""

    def embed(self, waveforms: Sequence[Samples]) -> list[Embedding]:
        """Mono 16 kHz waveforms [N_i] to unit vectors; a waveform without any sound gives a vector of NaN."""
