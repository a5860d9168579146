"""A trained model carried over to the codes of another codec, so that what its trunk knows is not learned again.

Speech that both codecs have quantized says which codes stand for the same sound. Each new entry becomes the mean of
what stood where it stands: in the tables, level by level, of what the frame so far still lacks of the old one, and in
the heads of the outputs. The model then speaks the new codes roughly, and is trained on from there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from valle.model.layout import Head, Table
from valle.model.valle import ValleModel

_PRIOR = 2.0
"""How many frames of the average sound every entry is taken to have been seen with besides."""
_LARGEST_SPREAD = 2.5
"""Means of many rows lie close together. Where codes have nothing in common, what is left is noise, and stays small."""


@dataclass(frozen=True, slots=True)
class ParallelCodes:
    """The codes of the same frames by two codecs, [K, T] each."""

    before: Tensor
    after: Tensor


@torch.no_grad()
def carry_codes(model: ValleModel, codes: ParallelCodes) -> None:
    """Set the tables and heads of codes of `model`, which knows `codes.before`, for `codes.after`."""
    config = model.config
    levels, size = config.num_codebooks, config.codebook_size
    assert codes.before.shape == codes.after.shape, "both codecs must have quantized the same frames"
    assert len(codes.before) == levels, "the codes are not those of the model's codec"

    prompts = model.prompt_codes.weight.view(levels, size, -1)
    prompts.copy_(_carried_tables(prompts, codes))
    targets = model.target_codes.weight.view(levels + config.group, size + 2, -1)[:, :size]  # stop and mask stay
    lower = slice(config.first_table(Table.LOWER_CODES), levels - 1)
    targets[lower] = _carried_tables(targets[lower], codes)
    # Every other table embeds codebook 0.
    for table in range(config.first_table(Table.MASKED_CODES), len(targets)):
        targets[table] = _carried_tables(targets[table : table + 1], codes)[0]
    for (kind, number), (start, _) in model.heads.spans.items():
        if kind in (Head.CODES, Head.MASKED):
            level = number if kind == Head.CODES and number < levels else 0
            rows = slice(start, start + size)
            outputs = torch.cat((model.heads.weight[rows], model.heads.bias[rows, None]), 1)
            carried = _carried_outputs(outputs, codes.before[level], codes.after[level])
            model.heads.weight[rows], model.heads.bias[rows] = carried[:, :-1], carried[:, -1]


def _mean_by_code(vectors: Tensor, codes: Tensor, size: int) -> Tensor:
    """The mean [size, width] of the vectors [T, width] of each code [T], drawn a little to the mean of all."""
    sums = torch.zeros(size, vectors.shape[1]).index_add_(0, codes, vectors)
    counts = torch.bincount(codes, minlength=size)[:, None]
    return (sums + _PRIOR * vectors.mean(0)) / (counts + _PRIOR)


def _carried_tables(tables: Tensor, codes: ParallelCodes) -> Tensor:
    """Tables [L, N, width] for codes after, whose sums over levels come near those of the tables for codes before."""
    carried = torch.empty_like(tables)
    missing = tables.new_zeros(codes.before.shape[1], tables.shape[2])
    for level, table in enumerate(tables):
        missing = missing + table[codes.before[level]]
        carried[level] = _mean_by_code(missing, codes.after[level], tables.shape[1])
        missing = missing - carried[level][codes.after[level]]
    return carried


def _carried_outputs(outputs: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Rows [N, width] of a head for the codes `after` [T], spread about their mean as those for `before` were."""
    carried = _mean_by_code(outputs[before], after, len(outputs))
    mean = carried.mean(0)
    spread = (outputs.std(0).norm() / carried.std(0).norm()).clamp(max=_LARGEST_SPREAD)
    return mean + spread * (carried - mean)
