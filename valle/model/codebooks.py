"""Tables and heads of codes that begin as what the codes sound like, instead of as noise.

A codec has a vector for every entry of its codebooks, and entries that sound alike have vectors that are alike. One
random projection of them starts every table and head of codes, so a code is the same thing as a prompt, as a frame
below and as an output before the first update, and what is learnt of one code holds at once for its neighbours.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from valle.model.layout import Head, Table
from valle.model.valle import ValleModel

_SHARE = 0.9
"""Of a vector's size that comes from the codec; the rest stays random, to tell entries apart that are all but equal."""


@torch.no_grad()
def start_from_codebooks(model: ValleModel, codebooks: Tensor, *, seed: int) -> None:
    """Set the tables and heads of codes of a new model by the entries of its codec, [K, N, D]."""
    config = model.config
    levels, size, width = config.num_codebooks, config.codebook_size, config.width
    assert codebooks.shape[:2] == (levels, size), "the codebooks are not those of the model's codec"
    vectors = _projected(codebooks.float(), width, seed)
    # Deeper codebooks add less to the sound, but more than nothing: the root of their share keeps them audible.
    shares = codebooks.float().var(dim=(1, 2)).sqrt()
    loudness = (shares / shares[0]).sqrt()
    _start_tables(model.prompt_codes.weight, size, vectors, loudness, range(levels))
    masked, following = config.first_table(Table.MASKED_CODES), config.first_table(Table.NEXT_CODES)
    level_of = {table: table for table in range(levels - 1)}
    level_of |= {masked: 0, **{following + frame: 0 for frame in range(config.group)}}
    _start_tables(model.target_codes.weight, size + 2, vectors, loudness, [level_of[t] for t in sorted(level_of)])
    for (kind, number), (start, _) in model.heads.spans.items():
        if kind in (Head.CODES, Head.MASKED):
            level = number if kind == Head.CODES and number < levels else 0
            rows = model.heads.weight[start : start + size]
            rows.copy_(_blend(vectors[level], rows))


def _projected(codebooks: Tensor, width: int, seed: int) -> Tensor:
    """Entries in `width` dimensions, of size 1 in each of them on average: [K, N, width]."""
    generator = torch.Generator().manual_seed(seed)
    centred = codebooks - codebooks.mean(dim=1, keepdim=True)
    projected = centred @ torch.randn(codebooks.shape[2], width, generator=generator)
    return projected / projected.square().mean(dim=(1, 2), keepdim=True).sqrt()


def _start_tables(weight: Tensor, entries: int, vectors: Tensor, loudness: Tensor, levels: Sequence[int]) -> None:
    """Set the first entries of each table of `weight`; those after them are no codes."""
    for table, level in enumerate(levels):
        rows = weight[table * entries : table * entries + vectors.shape[1]]
        rows.copy_(_blend(vectors[level], rows) * loudness[level])


def _blend(vectors: Tensor, noise: Tensor) -> Tensor:
    """Vectors with some of the noise, as large as the noise was."""
    size = noise.square().mean().sqrt()
    return _SHARE * size * vectors + (1 - _SHARE**2) ** 0.5 * noise
