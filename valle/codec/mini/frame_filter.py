"""A linear filter over frames: features to latents, and latents to band energies."""

import torch
from torch import Tensor, nn


class FrameFilter(nn.Module):
    """A linear filter over frames, [B, T, inputs] to [B, T, outputs]; the first and the last frame are repeated."""

    NUM_TAPS = 15

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        reach = self.NUM_TAPS // 2
        self.taps = nn.Conv1d(inputs, outputs, self.NUM_TAPS, padding=reach, padding_mode="replicate")

    def forward(self, frames: Tensor) -> Tensor:
        """Return the filtered frames [B, T, outputs] of frames [B, T, inputs]."""
        filtered: Tensor = self.taps(frames.transpose(1, 2))
        return filtered.transpose(1, 2)

    @torch.no_grad()
    def set(self, weight: Tensor, *, mean: Tensor | None = None, offset: Tensor | None = None) -> None:
        """Set the filter: subtract `mean` [inputs], apply `weight` [outputs, inputs, taps], add `offset` [outputs]."""
        assert self.taps.bias is not None
        self.taps.weight.copy_(weight)
        self.taps.bias.zero_()
        if mean is not None:
            self.taps.bias.sub_(weight.sum(2) @ mean)
        if offset is not None:
            self.taps.bias.add_(offset)
