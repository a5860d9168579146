"""Adaptation of a trained model to the codes of another codec, so that its trunk need not be trained again.

Speech that both codecs have quantized aligns their codes. Each new entry becomes the mean of the old vectors at the
frames where it occurs: in the tables, codebook by codebook, of the residual that earlier new codebooks leave; and in
the output heads. The model then speaks the new codes roughly, and training continues from there.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from valle.model.config import ModelConfig
from valle.model.layout import Head
from valle.model.valle import ValleModel

# Frames of the average vector that are added to those of every entry.
_PRIOR_FRAMES = 2.0
# Means of many rows have a small spread, which is scaled back up. Between unrelated codes only noise is left, which
# this limit keeps small.
_MAX_SCALE = 2.5


@dataclass(frozen=True, slots=True)
class ParallelCodes:
    """Codes of the same frames by two codecs, [K, T] each."""

    before: Tensor
    after: Tensor


@torch.no_grad()
def adapt_codes(model: ValleModel, codes: ParallelCodes) -> None:
    """Replace the tables and heads of codes of `model`, trained on `codes.before`, by those for `codes.after`."""
    config = model.config
    num_codebooks, size = config.num_codebooks, config.codebook_size
    assert codes.before.shape == codes.after.shape, "both codecs must have quantized the same frames"
    assert len(codes.before) == num_codebooks, "the codes are not those of the model's codec"

    prompts = model.prompt_codes.weight.view(num_codebooks, size, -1)
    prompts.copy_(_adapt_tables(prompts, codes))
    targets = model.target_codes.weight.view(-1, size + 2, config.width)[:, :size]  # not stop and mask
    for tables in _summed_tables(config):
        targets[tables] = _adapt_tables(targets[tables], codes)
    for (kind, number), (start, _) in model.heads.spans.items():
        if kind in (Head.CODES, Head.MASKED):
            codebook = number if number < num_codebooks else 0
            rows = slice(start, start + size)
            outputs = torch.cat((model.heads.weight[rows], model.heads.bias[rows, None]), 1)
            adapted = _adapt_outputs(outputs, codes.before[codebook], codes.after[codebook])
            model.heads.weight[rows], model.heads.bias[rows] = adapted[:, :-1], adapted[:, -1]


def _summed_tables(config: ModelConfig) -> list[slice]:
    """Return the tables of the output whose vectors are summed: in order of the codebooks, from codebook 0 on."""
    firsts = [table for table, codebook in enumerate(config.target_tables) if codebook == 0]
    return [slice(*ends) for ends in pairwise([*firsts, len(config.target_tables)])]


def _mean_by_code(vectors: Tensor, codes: Tensor, size: int) -> Tensor:
    """Average the vectors [T, width] of each code [T], shrunk towards the mean of all: [size, width]."""
    sums = torch.zeros(size, vectors.shape[1]).index_add_(0, codes, vectors)
    counts = torch.bincount(codes, minlength=size)[:, None]
    return (sums + _PRIOR_FRAMES * vectors.mean(0)) / (counts + _PRIOR_FRAMES)


def _adapt_tables(tables: Tensor, codes: ParallelCodes) -> Tensor:
    """Fit tables [L, N, width] for the new codes whose sums over codebooks approximate those of the old codes."""
    adapted = torch.empty_like(tables)
    residual = tables.new_zeros(codes.before.shape[1], tables.shape[2])
    for codebook, table in enumerate(tables):
        residual = residual + table[codes.before[codebook]]
        adapted[codebook] = _mean_by_code(residual, codes.after[codebook], tables.shape[1])
        residual = residual - adapted[codebook][codes.after[codebook]]
    return adapted


def _adapt_outputs(outputs: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Average rows [N, width] of a head for the codes `after` [T], with the spread that the old rows have."""
    adapted = _mean_by_code(outputs[before], after, len(outputs))
    mean = adapted.mean(0)
    scale = (outputs.std(0).norm() / adapted.std(0).norm()).clamp(max=_MAX_SCALE)
    return mean + scale * (adapted - mean)
