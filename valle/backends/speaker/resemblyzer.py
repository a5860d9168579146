"""The GE2E speaker encoder (Wan et al. 2018, "Generalized end-to-end loss for speaker verification").

The weights are those of the `Resemblyzer` wheel (Apache-2.0). The package itself is not imported: it needs a voice
activity library that new Python environments cannot load, and it embeds one clip at a time.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from valle.audio import Samples
from valle.backends.speaker.base import SAMPLE_RATE, Embedding
from valle.tensors import load_pickled

EMBEDDING_SIZE = 256
# Fixed by the weights: mel bands, and samples of a window and a hop at 16 kHz.
_NUM_MELS = 40
_WINDOW = 400
_HOP = 160
_PARTIAL_FRAMES = 160
_PARTIAL_HOP = 77  # frames: 1.3 partials per second, as the authors of the weights evaluate
_MIN_COVERAGE = 0.75
_TARGET_DBFS = -30.0
_PAUSE_FRAME = 480
_PAUSE_DEPTH = 35.0
_KEPT_PAUSE_FRAMES = 6


def raise_loudness(samples: Samples) -> Samples:
    """Amplify quiet speech to -30 dBFS RMS; return louder speech unchanged. Samples must not be all zero."""
    rms_dbfs = 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))
    gain = max(0.0, _TARGET_DBFS - rms_dbfs)
    return (samples * 10 ** (gain / 20)).astype(np.float32)


def without_pauses(samples: Samples) -> Samples:
    """Remove stretches over 0.2 s that are 35 dB below the loud ones; return short input unchanged."""
    count = len(samples) // _PAUSE_FRAME
    if count < 2 * _KEPT_PAUSE_FRAMES:
        return samples
    energy = np.square(samples[: count * _PAUSE_FRAME], dtype=np.float64).reshape(count, _PAUSE_FRAME).mean(axis=1)
    loudness = 10 * np.log10(energy + 1e-12)
    voiced = loudness > np.percentile(loudness, 95) - _PAUSE_DEPTH
    near = np.convolve(voiced, np.ones(2 * (_KEPT_PAUSE_FRAMES // 2) + 1), mode="same") > 0
    return samples[: count * _PAUSE_FRAME].reshape(count, _PAUSE_FRAME)[near].reshape(-1)


def partial_starts(num_samples: int) -> list[int]:
    """Return the first frames of the 1.6 s partials of a waveform; a last one under three quarters full is omitted."""
    num_frames = -(-(num_samples + 1) // _HOP)
    starts = list(range(0, max(1, num_frames - _PARTIAL_FRAMES + _PARTIAL_HOP + 1), _PARTIAL_HOP))
    coverage = (num_samples - starts[-1] * _HOP) / (_PARTIAL_FRAMES * _HOP)
    return starts[:-1] if coverage < _MIN_COVERAGE and len(starts) > 1 else starts


class _VoiceEncoder(nn.Module):
    """Three LSTM layers over 40 mel bands, the last hidden state projected, rectified and scaled to unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_NUM_MELS, EMBEDDING_SIZE, 3, batch_first=True)
        self.linear = nn.Linear(EMBEDDING_SIZE, EMBEDDING_SIZE)

    def forward(self, mels: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(mels)  # mels [B, 160, 40]
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)


class Resemblyzer:
    """The GE2E encoder with Resemblyzer's weights; partials of all clips go through the network together."""

    def __init__(self, path: Path, *, device: str = "cpu", batch_size: int = 64) -> None:
        from librosa.filters import mel

        weights: dict[str, Tensor] = load_pickled(path)["model_state"]
        self._network = _VoiceEncoder().eval()
        self._network.load_state_dict({name: weights[name] for name in self._network.state_dict()})
        self._network.to(device)
        self._device = device
        self._batch_size = batch_size
        self._filters = torch.from_numpy(np.asarray(mel(sr=SAMPLE_RATE, n_fft=_WINDOW, n_mels=_NUM_MELS)))  # [40, 201]
        self._hann = torch.hann_window(_WINDOW)

    def _partials(self, samples: Samples) -> Tensor:
        voiced = without_pauses(raise_loudness(samples))
        starts = partial_starts(len(voiced))
        missing = (starts[-1] + _PARTIAL_FRAMES) * _HOP - len(voiced)
        padded = torch.from_numpy(np.pad(voiced, (0, max(0, missing))))
        spectrum = torch.stft(
            padded, _WINDOW, _HOP, window=self._hann, center=True, pad_mode="constant", return_complex=True
        )
        mels = (self._filters @ spectrum.abs().square()).T  # [frames, 40]
        return torch.stack([mels[start : start + _PARTIAL_FRAMES] for start in starts])

    @torch.inference_mode()
    def embed(self, waveforms: Sequence[Samples]) -> list[Embedding]:
        """Embed as `SpeakerEncoder` defines it: the mean of the vectors of a clip's partials, of unit length."""
        audible = [index for index, samples in enumerate(waveforms) if len(samples) and np.any(samples)]
        partials = [self._partials(waveforms[index]) for index in audible]
        embeddings: list[Embedding] = [np.full(EMBEDDING_SIZE, np.nan, np.float32) for _ in waveforms]
        if not audible:
            return embeddings
        batches = torch.split(torch.cat(partials), self._batch_size)
        vectors = torch.cat([self._network(batch.to(self._device)).cpu() for batch in batches])
        for index, of_clip in zip(audible, torch.split(vectors, [len(partial) for partial in partials]), strict=True):
            embeddings[index] = nn.functional.normalize(of_clip.mean(dim=0), dim=0).numpy()
        return embeddings
