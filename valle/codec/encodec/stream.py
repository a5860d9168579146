"""Streaming decode of EnCodec by its state: the decoder is causal, so a frame is emitted as soon as it is known."""

import numpy as np
import torch
from encodec.model import EncodecModel
from torch import Tensor, nn

from valle.audio import Samples
from valle.codec.base import Codes

FIRST_KERNEL = 7
"""Frames of the first convolution; its reflection padding needs as many before the first output."""
UPSAMPLER_CONTEXT = 3
"""Earlier frames that reach into the samples of one: each transposed convolution spans two of its inputs."""


class EncodecStream:
    """Decode one clip in pieces that join to the whole.

    Between pushes it keeps the last latents of the first convolution, the state of the LSTM and the last hidden
    frames of the upsampler. The first piece is emitted with the seventh frame, each later one at once.
    """

    def __init__(self, model: EncodecModel, device: torch.device, hop_length: int) -> None:
        self._model, self._device, self._hop_length = model, device, hop_length
        layers = list(model.decoder.model)
        self._first_layer, self._lstm, self._upsampler = layers[0], layers[1], nn.Sequential(*layers[2:])
        self._latents = torch.zeros(1, model.quantizer.dimension, 0, device=device)
        self._hidden: Tensor | None = None  # [1, C, context], None before the first output
        self._state: tuple[Tensor, Tensor] | None = None

    @property
    def latency_frames(self) -> int:
        """Return how many later frames must be known before a frame is emitted: none after the first seven."""
        return 0

    @torch.inference_mode()
    def push(self, codes: Codes) -> Samples:
        """Return the samples [N], possibly none, that codes [K, T] complete."""
        latents = self._model.quantizer.decode(torch.from_numpy(codes.astype(np.int64))[:, None].to(self._device))
        self._latents = torch.cat([self._latents, latents], 2)
        num_new = codes.shape[1]
        if self._hidden is None:
            if self._latents.shape[2] < FIRST_KERNEL:
                return np.zeros(0, np.float32)
            num_new = self._latents.shape[2]
        if num_new == 0:
            return np.zeros(0, np.float32)
        return self._decode(num_new)

    @torch.inference_mode()
    def finish(self) -> Samples:
        """Return the remaining samples, which only a clip of fewer than seven frames has."""
        if self._hidden is not None or self._latents.shape[2] == 0:
            return np.zeros(0, np.float32)
        return self._samples(self._model.decoder(self._latents), self._latents.shape[2])

    def _decode(self, num_new: int) -> Samples:
        outputs = self._first_layer(self._latents)[..., -num_new:].permute(2, 0, 1)  # [T, 1, C]
        self._latents = self._latents[..., -(FIRST_KERNEL - 1) :]
        recurrent, self._state = self._lstm.lstm(outputs, self._state)
        hidden = (recurrent + outputs if self._lstm.skip else recurrent).permute(1, 2, 0)
        hidden = hidden if self._hidden is None else torch.cat([self._hidden, hidden], 2)
        self._hidden = hidden[..., -UPSAMPLER_CONTEXT:]
        return self._samples(self._upsampler(hidden), num_new)

    def _samples(self, waveform: Tensor, num_frames: int) -> Samples:
        """Return the last frames of a waveform [1, 1, N] as samples within -1..1."""
        samples: Samples = waveform[0, 0, -num_frames * self._hop_length :].clamp(-1, 1).cpu().numpy()
        return samples
