"""One slot of a few rows through a llama trunk, on a CPU in fp32 or int8, with few and cheap operations.

A step of a small model spends as much time in torch's dispatch as in its products. Here numpy computes norms, rotations
and sums, at a third of the cost of an operation, in the order of the modules; the cache and the attention are theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from valle.model.trunks.blocks import Attention, GatedMlp
from valle.model.trunks.cpu.few_rows import FewRowsLinear
from valle.model.trunks.cpu.int8 import Int8Linear

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from valle.model.attention import Attend
    from valle.model.trunks.blocks import Rotation
    from valle.model.trunks.cache import Cache

Floats = NDArray[np.float32]
_PLAIN = (FewRowsLinear, nn.RMSNorm)
MOST_ROWS = 4
"""Rows of a batch that gains: with more, products take nearly all of the time."""


@dataclass(frozen=True, slots=True)
class Norm:
    """An RMSNorm with its weights."""

    weight: Floats
    epsilon: float

    @classmethod
    def of(cls, module: nn.RMSNorm) -> Norm:
        """Share the weights of a module."""
        assert module.eps is not None, "a norm needs its epsilon"
        return cls(module.weight.detach().numpy(), module.eps)

    def __call__(self, x: Floats) -> Floats:
        """Normalise x [n, width]."""
        scale = 1 / np.sqrt(np.vecdot(x, x) / np.float32(x.shape[1]) + np.float32(self.epsilon))
        normed: Floats = x * scale[:, None]
        normed *= self.weight
        return normed


@dataclass(frozen=True, slots=True)
class Product:
    """A linear layer, with its weights where numpy multiplies one row by them.

    OpenBLAS reads a matrix for one row up to three times as fast as the library of torch does.
    """

    layer: nn.Module
    weight: Floats | None

    @classmethod
    def of(cls, layer: nn.Module) -> Product:
        """Share the weights of a layer."""
        if isinstance(layer, FewRowsLinear) and layer.bias is None:
            return cls(layer, layer.weight.detach().numpy())
        return cls(layer, None)

    def __call__(self, x: Floats) -> Floats:
        """Multiply x [n, inputs] by the weights: [n, outputs]."""
        if self.weight is not None and len(x) == 1:
            product: Floats = self.weight.dot(x[0])[None]
            return product
        if isinstance(self.layer, Int8Linear):
            return self.layer.multiply(x)
        several: Floats = self.layer(torch.from_numpy(x)).numpy()
        return several


@dataclass(frozen=True, slots=True)
class _Block:
    """The parts of a block in the order in which they compute."""

    attention_norm: Norm
    inputs: Product
    output: Product
    mlp_norm: Norm
    mlp_inputs: Product
    mlp_output: Product
    activate: Callable[[Tensor], Tensor]


class LeanStep:
    """The blocks of a trunk, whose weights it shares; it is valid while none of them is replaced."""

    def __init__(self, blocks: nn.ModuleList, norm: nn.RMSNorm) -> None:
        self._blocks = [_block(block) for block in blocks]
        self._norm = Norm.of(norm)
        attention = blocks[0].get_submodule("attention")
        assert isinstance(attention, Attention), "only blocks with attention have a lean step"
        self._heads, self._kv_heads, self._size = attention.heads, attention.kv_heads, attention.size

    def __call__(self, x: Tensor, rotation: Rotation, attend: Attend, cache: Cache) -> Tensor:
        """Compute the normalised hidden states [B, 1, width] of one more slot x [B, 1, width] of each row."""
        rows, _, width = x.shape
        hidden: Floats = x.numpy().reshape(rows, width)
        cosine, sine = (table.numpy().reshape(rows, 1, 1, -1) for table in (rotation.cosine, rotation.sine))
        # Signs for (first, second) * cosine + (second, first) * (-sine, sine).
        tables = cosine, np.concatenate([-sine, sine], axis=2)
        visible = None if attend.columns is None else attend.columns.numpy().swapaxes(-1, -2)
        for layer, block in enumerate(self._blocks):
            attended = self._attend(block.inputs(block.attention_norm(hidden)), tables, visible, cache, layer)
            hidden = hidden + block.output(attended)
            gate, up = torch.from_numpy(block.mlp_inputs(block.mlp_norm(hidden))).chunk(2, dim=-1)
            hidden += block.mlp_output((block.activate(gate) * up).numpy())
        cache.advance()
        return torch.from_numpy(self._norm(hidden)).view(rows, 1, width)

    def _attend(
        self,
        projected: Floats,
        tables: tuple[Floats, Floats],
        visible: NDArray[np.bool_] | None,
        cache: Cache,
        layer: int,
    ) -> Floats:
        """Rotate queries and keys of projections [n, heads * size], write the cache and attend: [n, width]."""
        rows, heads, kv_heads, size = len(projected), self._heads, self._kv_heads, self._size
        rotated_width = (heads + kv_heads) * size
        pairs = projected[:, :rotated_width].reshape(rows, heads + kv_heads, 2, size // 2)
        rotated = pairs * tables[0]
        rotated += pairs[:, :, ::-1] * tables[1]
        rotated = rotated.reshape(rows, heads + kv_heads, size)
        new = rotated[:, heads:], projected[:, rotated_width:].reshape(rows, kv_heads, size)
        query = rotated[:, :heads].reshape(rows, kv_heads, -1, size)
        return attend_slot(query, *cache.append_slot(layer, *new), visible).reshape(rows, heads * size)


def attend_slot(query: Floats, keys: Floats, values: Floats, visible: NDArray[np.bool_] | None) -> Floats:
    """Attend with the queries [B, kv heads, group, size] of one slot over keys and values [B, kv heads, columns, size].

    `visible` are the columns of each row, [B, 1, columns, 1], None for all.
    """
    scores = keys @ (query * np.float32(query.shape[-1] ** -0.5)).swapaxes(-1, -2)
    if visible is not None:
        np.copyto(scores, -np.inf, where=~visible)
    scores -= scores.max(axis=2, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=2, keepdims=True)
    attended: Floats = scores.swapaxes(-1, -2) @ values
    return attended


def _block(block: nn.Module) -> _Block:
    attention, mlp = block.get_submodule("attention"), block.get_submodule("mlp")
    norms = [block.get_submodule(name) for name in ("attention_norm", "mlp_norm")]
    assert isinstance(attention, Attention), "a lean step needs attention"
    assert isinstance(mlp, GatedMlp), "a lean step needs a gated MLP"
    first, second = (Norm.of(norm) for norm in norms if isinstance(norm, nn.RMSNorm))
    layers = (attention.inputs, attention.output, mlp.inputs, mlp.output)
    inputs, output, mlp_inputs, mlp_output = map(Product.of, layers)
    return _Block(first, inputs, output, second, mlp_inputs, mlp_output, mlp.activate)


def can_step(x: Tensor) -> bool:
    """Return whether slots x [B, L, width] are one slot of a few rows, on a CPU in fp32 and without gradients."""
    return (
        x.shape[1] == 1
        and len(x) <= MOST_ROWS
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )


def make_step(trunk: nn.Module, blocks: nn.ModuleList, norm: nn.RMSNorm) -> LeanStep | None:
    """Return the lean step of a trunk; None where its modules do more, as experts and hooks do."""
    is_plain = all(
        isinstance(module, _PLAIN) and not module._forward_hooks and not module._forward_pre_hooks
        for module in trunk.modules()
        if any(True for _ in module.parameters(recurse=False))
    )
    return LeanStep(blocks, norm) if is_plain else None
