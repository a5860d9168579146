"""The encoder of EnCodec over clips of unequal length: convolutions clip by clip, the LSTM over padded batches.

The convolutions fill a core with one clip. The LSTM does not: for each frame it reads 16 MB of weights, which a batch
reads once for all its clips. The encoder is causal, so padding behind a clip does not reach into its frames.
"""

from collections.abc import Iterator, Sequence

import torch
from encodec.model import EncodecModel
from encodec.modules import SLSTM
from torch import Tensor
from torch.nn.functional import pad

from valle.codec.batches import batch_groups
from valle.codec.encodec.convolutions import arrange_convolutions

PIECE_FRAMES = 75
"""Frames of one pass through the convolutions: their memory, 15 MB a second of audio, does not grow with the clip."""
PIECE_CONTEXT = 3
"""Earlier frames that reach into one: 797 samples by the kernels and strides of the convolutions."""
LEAST_ROWS = 2
"""Rows of an LSTM batch. A product with one row sums in another order than one with several, which agree bit for
bit in any number, so a single clip runs beside a row of zeros."""


class EncodecEncoder:
    """Compute latents [T, 128] of waveforms; those of a clip depend on nothing but the clip."""

    def __init__(self, model: EncodecModel, *, hop_length: int, batch_frames: int, device: torch.device) -> None:
        layers = list(model.encoder.model)
        recurrent = next(index for index, layer in enumerate(layers) if isinstance(layer, SLSTM))
        self._convolutions = arrange_convolutions(layers[:recurrent])
        self._last = arrange_convolutions(layers[recurrent + 1 :])
        self._lstm: SLSTM = layers[recurrent]
        self._hop_length, self._batch_frames, self._device = hop_length, batch_frames, device

    def batches(self, num_samples: Sequence[int]) -> Iterator[list[int]]:
        """Yield the indices of clips of similar length whose padded frames fit into `batch_frames`.

        A clip that does not fit is a batch of its own; empty clips are in none.
        """
        batch: list[int] = []
        # The first clip of a batch is its longest, so it decides the padding of all.
        for index in sorted(range(len(num_samples)), key=lambda index: -num_samples[index]):
            if num_samples[index] == 0:
                break
            longest = self._num_frames(num_samples[batch[0]]) if batch else 0
            if batch and longest * (len(batch) + 1) > self._batch_frames:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def encode(self, waveforms: Sequence[Tensor]) -> list[Tensor]:
        """Return the latents [1, 128, T_i] of each waveform [N_i] of a batch."""
        hidden: list[Tensor] = [torch.empty(0)] * len(waveforms)
        for group in batch_groups([len(waveform) for waveform in waveforms], self._device):
            outputs = self._convolve(torch.stack([waveforms[index] for index in group])[:, None].to(self._device))
            for row, index in enumerate(group):
                hidden[index] = outputs[row]
        longest = max(frames.shape[1] for frames in hidden)
        rows = [pad(frames, (0, longest - frames.shape[1])) for frames in hidden]
        rows += [torch.zeros_like(rows[0])] * (LEAST_ROWS - len(rows))
        recurrent = self._recur(torch.stack(rows).permute(2, 0, 1))  # [T, B, C]
        return [self._last(recurrent[: frames.shape[1], row].T[None].contiguous()) for row, frames in enumerate(hidden)]

    def _num_frames(self, num_samples: int) -> int:
        return -(-num_samples // self._hop_length)

    def _convolve(self, waveforms: Tensor) -> Tensor:
        """Return the inputs of the LSTM [B, C, T] of waveforms [B, 1, N], piece by piece."""
        num_frames = self._num_frames(waveforms.shape[2])
        pieces = []
        for first in range(0, num_frames, PIECE_FRAMES):
            begin, end = max(0, first - PIECE_CONTEXT), min(num_frames, first + PIECE_FRAMES)
            piece = waveforms[:, :, begin * self._hop_length : end * self._hop_length]
            pieces.append(self._convolutions(piece)[:, :, first - begin :])
        return torch.cat(pieces, 2)

    def _recur(self, inputs: Tensor) -> Tensor:
        """Return the outputs of the LSTM [T, B, C] of its inputs, in pieces that carry the state."""
        state: tuple[Tensor, Tensor] | None = None
        outputs = []
        for piece in torch.split(inputs, max(1, self._batch_frames // inputs.shape[1])):
            output, state = self._lstm.lstm(piece.contiguous(), state)
            outputs.append(output + piece if self._lstm.skip else output)
        return torch.cat(outputs)
