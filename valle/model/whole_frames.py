"""Tables and heads of a model that predicts every codebook of a frame in one pass.

Each codebook has a residual MLP of its own where its codes are embedded, and one before its head, so that codebooks
that no pass separates stay apart in a frame. At first every MLP adds nothing, and a frame is the sum of its vectors.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.model.embeddings import CodeTables, Heads
from valle.model.layout import Head

# Width inside an MLP in units of the width.
_EXPAND = 2


class CodebookMlps(nn.Module):
    """A residual MLP per codebook, with one parameter per matrix of all, so that each has a gradient in every step."""

    def __init__(self, num_codebooks: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.inputs = nn.Parameter(torch.randn(num_codebooks, width, _EXPAND * width) / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(num_codebooks, 1, _EXPAND * width))
        self.outputs = nn.Parameter(torch.zeros(num_codebooks, _EXPAND * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the MLP of each codebook to x [K, n, width]."""
        # A learned scale and shift of the norm would be part of `inputs` and `bias`.
        normed = functional.layer_norm(x, (self.width,))
        hidden = functional.gelu(torch.baddbmm(self.bias.to(x.dtype), normed, self.inputs.to(x.dtype)))
        return x + torch.bmm(hidden, self.outputs.to(hidden.dtype))


class FrameTables(CodeTables):
    """Tables of codes of which every frame has all codebooks; several roles share the MLPs and not the tables."""

    def __init__(self, num_codebooks: int, roles: int, entries: int, width: int) -> None:
        super().__init__(roles * num_codebooks, entries, width)
        self.num_codebooks = num_codebooks
        self.mlps = CodebookMlps(num_codebooks, width)

    def forward(self, codes: Tensor, counts: Tensor, tables: Tensor) -> Tensor:
        """Embed codes [n, K] by the tables of a role, [K]: the sum over codebooks, [n, width]."""
        if len(codes) == 0:  # the parameters have a gradient of zeros
            codes, tables = codes.new_zeros(0, self.num_codebooks), tables.new_zeros(self.num_codebooks)
        vectors = functional.embedding(codes + tables * self.entries, self.weight)
        return self.mlps(vectors.transpose(0, 1)).sum(0)


class FrameHeads(Heads):
    """Heads of which those of codes read the hidden state of their slot through the MLP of their codebook."""

    def __init__(self, outputs: Mapping[str, Sequence[int]], width: int) -> None:
        super().__init__(outputs, width)
        self.num_codebooks = len(outputs[Head.CODES])
        self.mlps = CodebookMlps(self.num_codebooks, width)

    def forward(self, kind: str, hidden: Tensor, numbers: Tensor) -> Tensor:
        """Compute logits [n, outputs]; hidden states [n, width] of codes are one per codebook of each slot, in order.

        All heads of codes have the same number of outputs.
        """
        if kind not in (Head.CODES, Head.MASKED):
            # The MLPs have a gradient of zeros.
            unused = self.mlps(hidden.new_zeros(self.num_codebooks, 0, hidden.shape[1])).sum()
            return super().forward(kind, hidden, numbers) + unused
        states = self.mlps(hidden.view(-1, self.num_codebooks, hidden.shape[1]).transpose(0, 1))
        start, end = self.spans[kind, 0][0], self.spans[kind, self.num_codebooks - 1][1]
        weight = self.weight[start:end].view(self.num_codebooks, -1, hidden.shape[1])
        bias = self.bias[start:end].view(self.num_codebooks, 1, -1)
        logits = torch.baddbmm(bias.to(states.dtype), states, weight.transpose(1, 2).to(states.dtype))
        return logits.transpose(0, 1).flatten(0, 1)
