"""Grouped finite scalar quantization: Mentzer et al. 2023 (arXiv 2309.15505), one codebook per group of dimensions.

A group of D numbers is bounded, rounded to `levels[d]` values each, and written as one integer in mixed radix with
the first dimension as the lowest digit. So code 0 is the corner where every number is smallest; silence has no code of
its own.
"""

import math

import torch
from torch import Tensor, nn

_MARGIN = 1e-3  # keeps a bounded value off the rounding edge of the outermost level


class GroupedFsq(nn.Module):
    """Quantize latents [B, G * D, T] as codes [B, G, T], with the same levels in every group."""

    def __init__(self, num_groups: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.num_groups, self.levels = num_groups, levels
        self.codebook_size = math.prod(levels)
        bases = [math.prod(levels[:dimension]) for dimension in range(len(levels))]
        # Not persistent: all of it follows from the levels.
        self.register_buffer("counts", torch.tensor(levels)[:, None], persistent=False)
        self.register_buffer("bases", torch.tensor(bases)[:, None], persistent=False)

    counts: Tensor  # [D, 1]
    bases: Tensor  # [D, 1]

    @property
    def codebooks(self) -> Tensor:
        """Return the vector of each entry of each group, [G, N, G * D], zero outside its group."""
        entries = self.decode(torch.arange(self.codebook_size)[None, None].to(self.counts.device))[0].T  # [N, D]
        width = len(self.levels)
        vectors = entries.new_zeros(self.num_groups, self.codebook_size, self.num_groups * width)
        for group in range(self.num_groups):
            vectors[group, :, group * width : (group + 1) * width] = entries
        return vectors

    def encode(self, latents: Tensor) -> Tensor:
        """Quantize latents [B, G * D, T] as codes [B, G, T] in 0..N-1."""
        grouped = latents.reshape(len(latents), self.num_groups, len(self.levels), -1)  # [B, G, D, T]
        half = (self.counts - 1) / 2 * (1 - _MARGIN)
        # An even number of levels has none at zero: shifted by half a level, the bound stays symmetric in the input.
        offset = torch.where(self.counts % 2 == 0, 0.5, 0.0)
        bounded = half * torch.tanh(grouped + torch.tan(offset / half)) - offset
        digits = bounded.round() + self.counts // 2
        return (digits * self.bases).sum(2).long()

    def decode(self, codes: Tensor) -> Tensor:
        """Return the latents [B, G' * D, T] within -1..1 of codes [B, G', T]."""
        digits = codes[:, :, None] // self.bases % self.counts  # [B, G', D, T]
        half = self.counts // 2
        return ((digits - half) / half).flatten(1, 2)

    @property
    def middle(self) -> int:
        """Return the code whose numbers are all zero: the middle of each dimension."""
        return int(((self.counts // 2) * self.bases).sum())
