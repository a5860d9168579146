"""Initialization of tables and heads of codes from the vectors of the codec.

A codec has a vector for every entry of its codebooks, and similar vectors decode to similar audio. One random
projection of them initializes every table and head of codes, so a code has the same representation as a prompt, as a
lower codebook and as an output before the first update, and an update of one code generalizes to its neighbours.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from valle.model.layout import Head
from valle.model.valle import ValleModel

# Fraction of a vector's size that comes from the codec; the random rest tells nearly equal entries apart.
_CODEC_FRACTION = 0.9


@torch.no_grad()
def init_code_embeddings(model: ValleModel, codebooks: Tensor, *, seed: int) -> None:
    """Initialize the tables and heads of codes of a new model from the entries of its codec, [K, N, D]."""
    config = model.config
    num_codebooks, size, width = config.num_codebooks, config.codebook_size, config.width
    assert codebooks.shape[:2] == (num_codebooks, size), "the codebooks are not those of the model's codec"
    vectors = _project(codebooks.float(), width, seed)
    # Deeper codebooks have less variance; the square root keeps them from vanishing in the sum over codebooks.
    deviations = codebooks.float().var(dim=(1, 2)).sqrt()
    scales = (deviations / deviations[0]).sqrt()
    _init_tables(model.prompt_codes.weight, size, vectors, scales, range(num_codebooks))
    _init_tables(model.target_codes.weight, size + 2, vectors, scales, config.target_tables)
    for (kind, number), (start, _) in model.heads.spans.items():
        if kind in (Head.CODES, Head.MASKED):
            codebook = number if number < num_codebooks else 0
            rows = model.heads.weight[start : start + size]
            rows.copy_(_blend(vectors[codebook], rows))


def _project(codebooks: Tensor, width: int, seed: int) -> Tensor:
    """Project entries to `width` dimensions with a mean square of 1: [K, N, width]."""
    generator = torch.Generator().manual_seed(seed)
    centred = codebooks - codebooks.mean(dim=1, keepdim=True)
    projected = centred @ torch.randn(codebooks.shape[2], width, generator=generator)
    return projected / projected.square().mean(dim=(1, 2), keepdim=True).sqrt()


def _init_tables(weight: Tensor, entries: int, vectors: Tensor, scales: Tensor, codebooks: Sequence[int]) -> None:
    """Set the codes of each table of `weight`; the entries after them, stop and mask, keep their random vectors."""
    for table, codebook in enumerate(codebooks):
        rows = weight[table * entries : table * entries + vectors.shape[1]]
        rows.copy_(_blend(vectors[codebook], rows) * scales[codebook])


def _blend(vectors: Tensor, noise: Tensor) -> Tensor:
    """Blend vectors with noise, keeping the size of the noise."""
    size = noise.square().mean().sqrt()
    return _CODEC_FRACTION * size * vectors + (1 - _CODEC_FRACTION**2) ** 0.5 * noise
