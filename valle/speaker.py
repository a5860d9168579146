"""Voices as unit vectors: 16 kHz waveforms to embeddings whose dot product says how alike two voices are.

The encoders are opened by name; cosines of different encoders are never comparable. Nothing here loads torch until an
encoder is opened.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from valle.assets import file_revision, package_file
from valle.audio import Samples
from warehouse.errors import ConfigurationError

SAMPLE_RATE = 16_000

Embedding = NDArray[np.float32]  # [D], unit length


class SpeakerEncoder(Protocol):
    """Turns speech into a vector of its voice."""

    def embed(self, waveforms: Sequence[Samples]) -> list[Embedding]:
        """Mono 16 kHz waveforms [N_i] to unit vectors; a waveform without any sound gives a vector of NaN."""


def _weights_path(name: str) -> Path:
    if name != "resemblyzer":
        raise ConfigurationError(f"there is no speaker encoder called {name!r}: use `resemblyzer`.")
    return package_file("resemblyzer", "pretrained.pt", command="pip install --no-deps Resemblyzer==0.1.4")


def open_speaker_encoder(name: str, *, device: str = "cpu") -> SpeakerEncoder:
    """The encoder called `name`. Raises DependencyError when its weights are not installed."""
    from valle.resemblyzer import Resemblyzer

    return Resemblyzer(_weights_path(name), device=device)


def speaker_encoder_revision(name: str) -> str:
    """Name and revision of its weights, without loading them."""
    return f"{name}@{file_revision(_weights_path(name))}"
