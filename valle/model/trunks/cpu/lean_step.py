"""One slot of a few rows through a llama trunk, on a CPU in fp32 or int8, with few and cheap operations.

A step of a small model spends as much time in torch's dispatch as in its products. Here numpy computes norms, rotations
and sums, at a third of the cost of an operation, in the order of the modules, in buffers that all blocks share; the
cache is theirs. Between two products the code itself has left the caches of the processor, so each operation that is
left out saves several times what it costs alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from valle.model.trunks.blocks import Attention, GatedMlp
from valle.model.trunks.cpu.few_rows import FewRowsLinear, are_few_rows, multiply_into
from valle.model.trunks.cpu.int8 import Int8Linear

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from valle.model.trunks.cache import Cache

Floats = NDArray[np.float32]
_PLAIN = (FewRowsLinear, nn.RMSNorm)
MOST_ROWS = 16
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

    def __call__(self, x: Floats, out: Floats) -> None:
        """Normalise x [n, width] into `out`."""
        rows, width = x.shape
        scale: float | Floats
        if rows == 1:
            scale = 1 / math.sqrt(np.vdot(x, x) / width + self.epsilon)
        else:
            scale = 1 / np.sqrt(np.vecdot(x, x)[:, None] / np.float32(width) + np.float32(self.epsilon))
        np.multiply(x, scale, out=out)
        np.multiply(out, self.weight, out=out)


@dataclass(frozen=True, slots=True)
class Product:
    """A linear layer without a bias, in fp32 or in 8 bits."""

    weight: Floats | Int8Linear

    @classmethod
    def of(cls, layer: nn.Module) -> Product:
        """Share the weights of a layer."""
        if isinstance(layer, Int8Linear):
            return cls(layer)
        assert isinstance(layer, FewRowsLinear), "a lean step needs plain linear layers"
        assert layer.bias is None, "a lean step adds no biases"
        return cls(layer.weight.detach().numpy())

    def __call__(self, x: Floats, out: Floats) -> None:
        """Multiply x [n, inputs] by the weights into `out` [n, outputs]."""
        if isinstance(self.weight, Int8Linear):
            out[:] = self.weight.multiply(x)
        else:
            multiply_into(self.weight, x, out)


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


class _Buffers:
    """Results of a block for `rows` rows, and views of them, which the next block overwrites."""

    def __init__(self, attention: Attention, feed_forward: int, rows: int) -> None:
        heads, kv_heads, size = attention.heads, attention.kv_heads, attention.size
        turned = heads + kv_heads
        self.hidden, self.normed, self.added = (_empty(rows, heads * size) for _ in range(3))
        self.projected = _empty(rows, (turned + kv_heads) * size)
        # Rotations exchange the halves of a head.
        self.pairs = self.projected[:, : turned * size].reshape(rows, turned, 2, size // 2)
        self.exchanged = self.pairs[:, :, ::-1]
        self.value = self.projected[:, turned * size :].reshape(rows, kv_heads, size)
        self.rotated, self.turn = np.empty_like(self.pairs), np.empty_like(self.pairs)
        rotated = self.rotated.reshape(rows, turned, size)
        self.query = rotated[:, :heads].reshape(rows, kv_heads, -1, size)
        self.key = rotated[:, heads:]
        self.attended = _empty(rows, heads * size)
        self.attended_heads = self.attended.reshape(self.query.shape)
        self.gated = _empty(rows, 2 * feed_forward)
        self.gate, self.up = torch.from_numpy(self.gated[:, :feed_forward]), self.gated[:, feed_forward:]
        self.product = _empty(rows, feed_forward)


class LeanStep:
    """The blocks of a trunk, whose weights it shares, for one cache; valid while none of the weights is replaced."""

    def __init__(self, blocks: nn.ModuleList, norm: nn.RMSNorm, frequencies: Tensor) -> None:
        self._blocks = [_block(block) for block in blocks]
        self._norm = Norm.of(norm)
        attention, mlp = blocks[0].get_submodule("attention"), blocks[0].get_submodule("mlp")
        assert isinstance(attention, Attention), "only blocks with attention have a lean step"
        assert isinstance(mlp, GatedMlp), "only blocks with a gated MLP have a lean step"
        self._attention, self._feed_forward = attention, mlp.output.in_features
        self._frequencies: Floats = frequencies.numpy()
        self._scale: Floats = np.ones((attention.heads + attention.kv_heads, 1, 1), dtype=np.float32)
        self._scale[: attention.heads] = attention.size**-0.5
        self._signed_scale = np.concatenate([-self._scale, self._scale], axis=1)
        self._buffers = _Buffers(attention, self._feed_forward, 1)

    def __call__(self, x: Tensor, positions: Tensor, columns: Tensor | None, cache: Cache) -> Tensor:
        """Compute the normalised hidden states [B, 1, width] of one more slot x [B, 1, width] of each row.

        `positions` are [B, 1]. `columns` of the cache are visible, [B, 1, 1, columns], None for all.
        """
        rows, _, width = x.shape
        if len(self._buffers.hidden) != rows:
            self._buffers = _Buffers(self._attention, self._feed_forward, rows)
        buffers = self._buffers
        hidden, normed, added = buffers.hidden, buffers.normed, buffers.added
        hidden[:] = x.numpy().reshape(rows, width)
        tables, visible = self._tables(positions), None if columns is None else columns.numpy()
        slot, entries = cache.open_slot()
        for block, (keys, values) in zip(self._blocks, entries, strict=True):
            block.attention_norm(hidden, normed)
            block.inputs(normed, buffers.projected)
            np.multiply(buffers.pairs, tables[0], out=buffers.rotated)
            np.multiply(buffers.exchanged, tables[1], out=buffers.turn)
            np.add(buffers.rotated, buffers.turn, out=buffers.rotated)
            keys[slot], values[slot] = buffers.key, buffers.value
            attend_slot(buffers.query, keys, values, visible, buffers.attended_heads)
            block.output(buffers.attended, added)
            np.add(hidden, added, out=hidden)
            block.mlp_norm(hidden, normed)
            block.mlp_inputs(normed, buffers.gated)
            np.multiply(block.activate(buffers.gate).numpy(), buffers.up, out=buffers.product)
            block.mlp_output(buffers.product, added)
            np.add(hidden, added, out=hidden)
        cache.advance()
        outputs = np.empty_like(hidden)
        self._norm(hidden, outputs)
        return torch.from_numpy(outputs).view(rows, 1, width)

    def _tables(self, positions: Tensor) -> tuple[Floats, Floats]:
        """Return what (first, second) and (second, first) of each head are multiplied by, [B, heads, 2, size / 2].

        Those of queries have the scale of attention in them, and the second ones the signs.
        """
        angles = (positions.numpy().astype(np.float32) * self._frequencies)[:, None, None]
        return np.cos(angles) * self._scale, np.sin(angles) * self._signed_scale


def attend_slot(query: Floats, keys: Floats, values: Floats, visible: NDArray[np.bool_] | None, out: Floats) -> None:
    """Attend with scaled queries [B, kv heads, group, size] over keys and values [B, kv heads, columns, size].

    `visible` are the columns of each row, [B, 1, 1, columns], None for all. `out` has the shape of the queries.
    """
    scores = np.vecdot(keys[:, :, None], query[:, :, :, None])
    if visible is not None:
        np.copyto(scores, -np.inf, where=~visible)
    np.subtract(scores, np.maximum.reduce(scores, axis=-1, keepdims=True), out=scores)
    np.exp(scores, out=scores)
    np.matmul(scores, values, out=out)
    np.divide(out, np.add.reduce(scores, axis=-1, keepdims=True), out=out)


def _empty(rows: int, width: int) -> Floats:
    return np.empty((rows, width), dtype=np.float32)


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
    return x.shape[1] == 1 and are_few_rows(x, MOST_ROWS)


def make_step(trunk: nn.Module, blocks: nn.ModuleList, norm: nn.RMSNorm, frequencies: Tensor) -> LeanStep | None:
    """Return the lean step of a trunk with these frequencies of rotations [size of a head / 2].

    None where its modules do more, as experts and hooks do.
    """
    is_plain = all(
        isinstance(module, _PLAIN) and not module._forward_hooks and not module._forward_pre_hooks
        for module in trunk.modules()
        if any(True for _ in module.parameters(recurse=False))
    )
    return LeanStep(blocks, norm, frequencies) if is_plain else None
