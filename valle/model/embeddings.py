"""Tables that turn symbols and codes into vectors, and the heads that turn hidden states into logits.

All code tables of one role are one parameter, and so are all heads of one role: each parameter gets a gradient in
every step whatever levels were drawn, so that all ranks of a distributed run reduce the same tensors.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class CodeTables(nn.Module):
    """One embedding table per codebook. A frame is the sum of the vectors of its first `counts` codebooks."""

    def __init__(self, num_tables: int, entries: int, width: int) -> None:
        super().__init__()
        self.entries = entries
        self.weight = nn.Parameter(torch.randn(num_tables * entries, width) * 0.5)

    def forward(self, codes: Tensor, counts: Tensor) -> Tensor:
        """Codes [n, K'] and codebooks to sum per frame [n], each at least 1, to vectors [n, width]."""
        if codes.shape[1] == 1 or len(codes) == 0:
            return functional.embedding(codes[:, 0], self.weight)
        columns = torch.arange(codes.shape[1], device=codes.device)
        index = (codes + columns * self.entries)[columns < counts[:, None]]
        return functional.embedding_bag(index, self.weight, counts.cumsum(0) - counts, mode="sum")


class Heads(nn.Module):
    """One linear map to logits per level, with biases."""

    def __init__(self, num_heads: int, outputs: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_heads, outputs, width) / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(num_heads, outputs))

    def forward(self, hidden: Tensor, heads: Tensor) -> Tensor:
        """Hidden states [n, width] and the head of each [n] to logits [n, outputs]."""
        if len(self.weight) == 1:
            return functional.linear(hidden, self.weight[0], self.bias[0])
        logits = hidden.new_zeros(len(hidden), self.weight.shape[1])
        for head in sorted(set(heads.tolist())):
            chosen = (heads == head).nonzero()[:, 0]
            part = functional.linear(hidden[chosen], self.weight[head], self.bias[head])
            logits = logits.to(part.dtype).index_copy(0, chosen, part)
        return logits
