"""A linear filter over frames: what makes latents of features, and what leads back."""

import torch
from torch import Tensor, nn


class FrameFilter(nn.Module):
    """A linear filter over frames, [B, T, inputs] to [B, T, outputs]; beyond the ends the first and the last go on."""

    NUM_TAPS = 15

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        reach = self.NUM_TAPS // 2
        self.taps = nn.Conv1d(inputs, outputs, self.NUM_TAPS, padding=reach, padding_mode="replicate")

    def forward(self, frames: Tensor) -> Tensor:
        """The frames filtered."""
        filtered: Tensor = self.taps(frames.transpose(1, 2))
        return filtered.transpose(1, 2)

    @torch.no_grad()
    def set(self, weight: Tensor, *, mean: Tensor | None = None, offset: Tensor | None = None) -> None:
        """Filter by `weight` [outputs, inputs, taps], after taking the `mean` [inputs] off; then add the `offset`."""
        assert self.taps.bias is not None
        self.taps.weight.copy_(weight)
        self.taps.bias.zero_()
        if mean is not None:
            self.taps.bias.sub_(weight.sum(2) @ mean)
        if offset is not None:
            self.taps.bias.add_(offset)
