"""Voices as unit vectors: 16 kHz waveforms to embeddings whose dot product says how alike two voices are.

The encoders are opened by name; cosines of different encoders are never comparable. Nothing here loads torch until an
encoder is opened.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from valle.assets import file_revision, models_directory, package_file
from valle.audio import Samples
from warehouse.errors import ConfigurationError, DependencyError

SAMPLE_RATE = 16_000

Embedding = NDArray[np.float32]  # [D], unit length


class SpeakerEncoder(Protocol):
    """Turns speech into a vector of its voice."""

    def embed(self, waveforms: Sequence[Samples]) -> list[Embedding]:
        """Mono 16 kHz waveforms [N_i] to unit vectors; a waveform without any sound gives a vector of NaN."""


def _weights_path(name: str) -> Path:
    if name == "resemblyzer":
        return package_file("resemblyzer", "pretrained.pt", command="pip install --no-deps Resemblyzer==0.1.4")
    if name == "wavlm_large":
        path = models_directory() / "wavlm_large_finetune.pth"
        if not path.exists():
            raise DependencyError(
                f"{path} is not there: put UniSpeech's WavLM-Large speaker verification checkpoint of that name in it "
                "(its README links the file), or name its folder with VALLE_MODELS."
            )
        return path
    raise ConfigurationError(f"there is no speaker encoder called {name!r}: use `resemblyzer` or `wavlm_large`.")


def open_speaker_encoder(name: str, *, device: str = "cpu") -> SpeakerEncoder:
    """The encoder called `name`: `resemblyzer` (embedded) or `wavlm_large` (UniSpeech's file).

    Raises DependencyError when its weights are not there, or are not those of the network.
    """
    path = _weights_path(name)
    if name == "wavlm_large":
        from valle.wavlm_speaker import WavlmSpeaker

        return WavlmSpeaker(path, device=device)
    from valle.resemblyzer import Resemblyzer

    return Resemblyzer(path, device=device)


def speaker_encoder_revision(name: str) -> str:
    """Name and revision of its weights, without loading them."""
    return f"{name}@{file_revision(_weights_path(name))}"
