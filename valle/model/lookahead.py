"""Extra heads that guess the groups of frames after the next one (Medusa, Cai et al., arXiv 2401.10774).

A guess costs no pass of the trunk. Decoding feeds the guesses together with the last frames and keeps those that the
model itself then draws, so several frames cost one pass and the result is that of plain decoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.model.batch import IGNORED, Batch
from valle.model.layout import Head

if TYPE_CHECKING:
    from valle.model.embeddings import Heads

LOSS_WEIGHT = 0.2
"""Weight of the loss of all guesses beside that of the next group; that of each further group is 0.8 of the one before.
Both are the paper's for joint training."""
_DECAY = 0.8


class Lookahead(nn.Module):
    """One residual layer per guess; the output heads are those of the next group."""

    def __init__(self, guesses: int, width: int) -> None:
        super().__init__()
        self.guesses = guesses
        # Zero at first: every guess is then the prediction of the next group.
        self.weight = nn.Parameter(torch.zeros(guesses, width, width))
        self.bias = nn.Parameter(torch.zeros(guesses, width))

    def forward(self, hidden: Tensor, guess: int) -> Tensor:
        """Compute the hidden states from which group number `guess` after the next one is predicted, [..., width]."""
        return hidden + functional.silu(functional.linear(hidden, self.weight[guess], self.bias[guess]))

    def no_loss(self) -> Tensor:
        """Return a loss of 0 whose gradient is zeros, for batches without guesses: every parameter needs a gradient."""
        return 0.0 * (self.weight.sum() + self.bias.sum())

    def loss(self, hidden: Tensor, batch: Batch, heads: Heads, group: int) -> Tensor:
        """Compute the summed cross-entropy of all guesses, given the hidden states [M, width] of an AR batch."""
        assert batch.labels is not None, "a batch without labels has no loss"
        index = torch.arange(len(hidden), device=hidden.device)
        row_ends = batch.last_predictions + group
        end = row_ends[torch.searchsorted(row_ends, index, right=True)]
        total = hidden.new_zeros((), dtype=torch.float32)
        for guess in range(self.guesses):
            target = index + (guess + 1) * group
            labels = torch.where(target < end, batch.labels[target.clamp(max=len(hidden) - 1)], IGNORED)
            logits = heads(Head.CODES, self(hidden, guess), batch.heads)
            losses = functional.cross_entropy(logits.float(), labels, reduction="sum", ignore_index=IGNORED)
            total = total + LOSS_WEIGHT * _DECAY**guess * losses
        return total
