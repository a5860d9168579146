"""Tables that turn symbols and codes into vectors, and the heads that turn hidden states into logits.

All code tables of a role are one parameter, and so are all heads: each parameter gets a gradient in every step,
whatever modes and levels were drawn. Otherwise ranks would reduce different tensors, ZeRO-3 would add a stale gradient,
and AdamW would treat what was not drawn differently in each engine.
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

    def forward(self, codes: Tensor, counts: Tensor, first_table: int = 0) -> Tensor:
        """Codes [n, K'] and codebooks to sum per frame [n], each at least 1, to vectors [n, width].

        Codebook k is embedded by table first_table + k.
        """
        columns = torch.arange(codes.shape[1], device=codes.device)
        index = codes + (columns + first_table) * self.entries
        if codes.shape[1] == 1 or len(codes) == 0:
            return functional.embedding(index[:, 0], self.weight)
        index = index[columns < counts[:, None]]
        return functional.embedding_bag(index, self.weight, counts.cumsum(0) - counts, mode="sum")


class Heads(nn.Module):
    """One linear map to logits per level, with biases."""

    def __init__(self, num_heads: int, outputs: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_heads, outputs, width) / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(num_heads, outputs))

    def forward(self, hidden: Tensor, heads: Tensor, outputs: int) -> Tensor:
        """Hidden states [n, width] and the head of each [n] to the first `outputs` logits of it, [n, outputs]."""
        used = sorted(set(heads.tolist()))
        if len(used) == 1:
            return functional.linear(hidden, self.weight[used[0], :outputs], self.bias[used[0], :outputs])
        chosen = [(heads == head).nonzero()[:, 0] for head in used]
        parts = [
            functional.linear(hidden[rows], self.weight[head, :outputs], self.bias[head, :outputs])
            for head, rows in zip(used, chosen, strict=True)
        ]
        return torch.cat(parts)[torch.cat(chosen).argsort()]
