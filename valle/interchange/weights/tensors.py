"""Weights of e-c-k-e-r/vall-e as weights of our network, where tables and heads of a kind are one tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from valle.model.layout import Head, Marker, Table
from valle.model.valle import ValleModel
from warehouse.errors import CheckpointError

if TYPE_CHECKING:
    from valle.interchange.weights.weights_file import WeightsFile
    from valle.model.config import ModelConfig

# Their tasks by id; ours are `Marker`.
_MARKERS = ("tts", "tts-c", "ns", "sr", "tse", "soe", "mask", "eoe", "stt")
_NUM_DIGITS = 11


@dataclass(frozen=True, slots=True)
class ConvertedWeights:
    """Weights by the names of this project, and the names of tensors that no task reads."""

    weights: dict[str, Tensor]
    unused: tuple[str, ...]


class _Source:
    """Tensors of a file, which remembers what was read."""

    def __init__(self, file: WeightsFile) -> None:
        self._file = file
        self._read: set[str] = set()

    def __call__(self, name: str) -> Tensor:
        if name not in self._file.tensors:
            raise CheckpointError(f"{self._file.path} lacks the tensor {name}; it is incomplete or of another layout.")
        self._read.add(name)
        return self._file.tensors[name].float()

    def find(self, name: str) -> Tensor | None:
        return self(name) if name in self._file.tensors else None

    @property
    def unused(self) -> tuple[str, ...]:
        return tuple(sorted(self._file.tensors.keys() - self._read))


def convert_tensors(file: WeightsFile, config: ModelConfig) -> ConvertedWeights:
    """Convert the weights of a file to those of a network of `config`.

    Rows of tables and heads that the file lacks are zero. Raises CheckpointError for a tensor that is missing or has
    another shape.
    """
    with torch.random.fork_rng(devices=[]):
        model = ValleModel(config)
    source = _Source(file)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.zero_()
        try:
            _copy_tables(model, source)
            _copy_heads(model, source, config)
            _copy_trunk(model, source, config)
        except RuntimeError as error:
            raise CheckpointError(f"A tensor of {file.path} has another shape than its configuration says.") from error
    return ConvertedWeights(model.state_dict(), source.unused)


def _copy_tables(model: ValleModel, source: _Source) -> None:
    ids, tables = (
        model.ids,
        {
            Table.SYMBOLS: source("text_emb.weight"),
            Table.LANGUAGES: source("langs_emb.weight"),
            Table.CODEBOOKS: source("rvq_l_emb.weight")[: model.config.num_codebooks],
        },
    )
    if (digits := source.find("len_emb.weight")) is not None:
        tables[Table.DIGITS] = digits
    for name, rows in tables.items():
        ids.weight[ids.first[name] : ids.first[name] + len(rows)] = rows
    if (tasks := source.find("tasks_emb.weight")) is not None:
        for marker in Marker:
            if marker.value in _MARKERS[: len(tasks)]:
                ids.weight[ids.first[Table.TASKS] + marker.id] = tasks[_MARKERS.index(marker.value)]
    model.separator.copy_(source("sep"))
    _copy_codes(model, source)


def _copy_codes(model: ValleModel, source: _Source) -> None:
    config = model.config
    count, size = config.num_codebooks, config.codebook_size
    prompts = [source(f"proms_emb.embeddings.{number}.weight") for number in range(count)]
    model.prompt_codes.weight.copy_(torch.cat(prompts))
    targets = model.target_codes.weight.view(-1, size + 2, config.width)
    # Table 0 is that of the AR, 1 .. K-1 are those of the NAR, and K is that of NAR-len, whose last row is the mask.
    following = source("resps_emb.embeddings.0.weight")
    targets[config.first_table(Table.NEXT_CODES), : len(following)] = following
    for number in range(1, count):
        if (lower := source.find(f"resps_emb.embeddings.{number}.weight")) is not None:
            targets[config.first_table(Table.LOWER_CODES) + number - 1, : len(lower)] = lower
    if (masked := source.find(f"resps_emb.embeddings.{count}.weight")) is not None:
        targets[config.first_table(Table.MASKED_CODES), :size] = masked[:size]
        targets[config.first_table(Table.MASKED_CODES), size + 1] = masked[-1]


def _copy_heads(model: ValleModel, source: _Source, config: ModelConfig) -> None:
    """Copy the heads, which are numbered without names: their sizes tell them apart, in an order that is fixed."""
    size, count = config.codebook_size, config.num_codebooks
    expected = [(Head.CODES, 0, size + 1), *((Head.CODES, number, size) for number in range(1, count))]
    expected += [(Head.MASKED, 0, size), (Head.SYMBOLS, 0, config.num_symbols), (Head.DIGITS, 0, _NUM_DIGITS)]
    number = 0
    for kind, index, outputs in expected:
        weight = source.find(f"classifiers.proj.{number}.weight")
        if weight is None or len(weight) != outputs:
            continue
        start, end = model.heads.spans[kind, index]
        model.heads.weight[start:end] = weight
        bias = source.find(f"classifiers.proj.{number}.bias")
        model.heads.bias[start:end] = 0 if bias is None else bias
        number += 1
    if number == 0:
        raise CheckpointError("The output heads have none of the sizes of codes; the weights are of another layout.")


def _copy_trunk(model: ValleModel, source: _Source, config: ModelConfig) -> None:
    state = model.state_dict()
    for layer in range(config.depth):
        theirs, ours = f"model.layers.{layer}", f"trunk.blocks.{layer}"
        state[f"{ours}.attention_norm.weight"].copy_(source(f"{theirs}.input_layernorm.weight"))
        inputs = [source(f"{theirs}.self_attn.{name}_proj.weight") for name in "qkv"]
        state[f"{ours}.attention.inputs.weight"].copy_(torch.cat(inputs))
        state[f"{ours}.attention.output.weight"].copy_(source(f"{theirs}.self_attn.o_proj.weight"))
        state[f"{ours}.mlp_norm.weight"].copy_(source(f"{theirs}.post_attention_layernorm.weight"))
        gated = [source(f"{theirs}.mlp.{name}_proj.weight") for name in ("gate", "up")]
        state[f"{ours}.mlp.inputs.weight"].copy_(torch.cat(gated))
        state[f"{ours}.mlp.output.weight"].copy_(source(f"{theirs}.mlp.down_proj.weight"))
    state["trunk.norm.weight"].copy_(source("model.norm.weight"))


def merge_adapter(tensors: Mapping[str, Tensor], adapter: WeightsFile) -> dict[str, Tensor]:
    """Add an adapter to the weights that it changes: W + alpha / rank times the product of its two matrices.

    In the linear form the product has the shape of W. In the parametrized form it has that shape only after a reshape,
    which is no transpose and mixes rows; adapters were trained so. Raises CheckpointError for a matrix without its
    partner or its weight.
    """
    merged = dict(tensors)
    firsts = [name for name in adapter.tensors if name.endswith("lora_A")]
    if not firsts:
        raise CheckpointError(f"{adapter.path} has no matrix of an adapter.")
    rank = int(adapter.config.get("rank") or len(adapter.tensors[firsts[0]]))
    scale = float(adapter.config.get("alpha", rank)) / rank
    for name in firsts:
        second = adapter.tensors.get(f"{name[:-1]}B")
        base = f"{name.removesuffix('.lora_A').removesuffix('.parametrizations.weight.0')}.weight"
        if second is None or base not in merged:
            raise CheckpointError(f"{adapter.path} does not fit these weights: {name} has no partner or no {base}.")
        product = second.float() @ adapter.tensors[name].float()
        if product.numel() != merged[base].numel():
            raise CheckpointError(f"{adapter.path} does not fit these weights: {name} has another shape.")
        merged[base] = merged[base].float() + scale * product.reshape(merged[base].shape)
    return merged
