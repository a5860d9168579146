"""Speaker embeddings: unit vectors of 16 kHz waveforms; their dot product is the similarity of two speakers.

Cosines of different encoders are not comparable.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from valle.audio import Samples

SAMPLE_RATE = 16_000

Embedding = NDArray[np.float32]  # [D], unit length


class SpeakerEncoder(Protocol):
    """A model that embeds the speaker of a waveform."""

    def embed(self, waveforms: Sequence[Samples]) -> list[Embedding]:
        """Embed mono 16 kHz waveforms [N_i] as unit vectors [D]; a silent waveform gives a vector of NaN."""
