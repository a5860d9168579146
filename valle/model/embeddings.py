"""Embedding tables for ids and codes, and output heads.

All tables of ids are one parameter, all code tables of a role are one, and so are all heads: each parameter receives a
gradient in every step, for any mix of tasks, modes and codebooks. Otherwise ranks would reduce different tensors,
ZeRO-3 would add a stale gradient, and engines would differ in how AdamW treats an absent gradient.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.model.trunks.cpu.few_rows import are_few_rows, multiply_rows


class IdTables(nn.Module):
    """Embedding tables of several kinds of ids, by name."""

    def __init__(self, entries: Mapping[str, int], width: int) -> None:
        super().__init__()
        ends = list(accumulate(entries.values()))
        self.first = {name: end - size for (name, size), end in zip(entries.items(), ends, strict=True)}
        self.weight = nn.Parameter(torch.randn(ends[-1], width) * 0.5)

    def forward(self, table: str, ids: Tensor) -> Tensor:
        """Embed ids [n] of one table: [n, width]."""
        return self.look_up(self.weight, table, ids)

    def look_up(self, weight: Tensor, table: str, ids: Tensor) -> Tensor:
        """Embed ids with another weight of the same shape."""
        return functional.embedding(ids + self.first[table], weight)


class CodeTables(nn.Module):
    """One embedding table per codebook. A frame is the sum of the vectors of its first `counts` codebooks."""

    def __init__(self, num_tables: int, entries: int, width: int) -> None:
        super().__init__()
        self.entries = entries
        self.weight = nn.Parameter(torch.randn(num_tables * entries, width) * 0.5)

    def forward(self, codes: Tensor, counts: Tensor, tables: Tensor) -> Tensor:
        """Embed codes [n, K'] and sum the first `counts` [n] columns of each frame, at least 1: [n, width].

        `tables` are the numbers of the tables that embed the columns, [K'], or [n, K'] where frames differ.
        """
        return self.look_up(self.weight, codes, counts, tables)

    def look_up(self, weight: Tensor, codes: Tensor, counts: Tensor, tables: Tensor) -> Tensor:
        """Embed codes with another weight of the same shape."""
        index = codes + tables * self.entries
        if codes.shape[1] == 1 or len(codes) == 0:
            return functional.embedding(index[:, 0], weight)
        index = index[torch.arange(codes.shape[1], device=codes.device) < counts[:, None]]
        return functional.embedding_bag(index, weight, counts.cumsum(0) - counts, mode="sum")


class Heads(nn.Module):
    """Linear output heads with biases: several numbered heads of each named kind."""

    def __init__(self, outputs: Mapping[str, Sequence[int]], width: int) -> None:
        super().__init__()
        self.spans: dict[tuple[str, int], tuple[int, int]] = {}
        start = 0
        for kind, sizes in outputs.items():
            for number, size in enumerate(sizes):
                self.spans[kind, number] = (start, start + size)
                start += size
        self.weight = nn.Parameter(torch.randn(start, width) / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(start))

    def _logits(self, kind: str, number: int, hidden: Tensor) -> Tensor:
        start, end = self.spans[kind, number]
        if are_few_rows(hidden) and self.weight.dtype == torch.float32:
            return multiply_rows(self.weight[start:end], hidden, self.bias[start:end])
        return functional.linear(hidden, self.weight[start:end], self.bias[start:end])

    def forward(self, kind: str, hidden: Tensor, numbers: Tensor) -> Tensor:
        """Compute logits [n, outputs] from hidden states [n, width] and the number of the head of each [n].

        Heads that occur together have the same number of outputs.
        """
        used = [int(numbers)] if len(numbers) == 1 else sorted(set(numbers.tolist()))
        if len(used) == 1:
            return self._logits(kind, used[0], hidden)
        chosen = [(numbers == number).nonzero()[:, 0] for number in used]
        parts = [self._logits(kind, number, hidden[rows]) for number, rows in zip(used, chosen, strict=True)]
        return torch.cat(parts)[torch.cat(chosen).argsort()]
