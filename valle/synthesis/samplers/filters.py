"""Filters: logits with unlikely entries removed. An entry that is removed is minus infinity."""

from collections.abc import Sequence

import torch
from torch import Tensor

from warehouse.errors import ConfigurationError

REMOVED = float("-inf")


def ban(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """Logits [..., V] with `ids` removed.

    Raises ConfigurationError for an id that the logits do not have, and when nothing would be left.
    """
    size = logits.shape[-1]
    if not ids:
        return logits
    if wrong := [code for code in ids if not 0 <= code < size]:
        raise ConfigurationError(f"Cannot ban the code {wrong[0]}: the model has codes 0 to {size - 1}.")
    if len(set(ids)) == size:
        raise ConfigurationError("Every code is banned; leave at least one.")
    return logits.index_fill(-1, torch.tensor(ids, device=logits.device), REMOVED)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Logits [..., V] with all but the k largest removed; ties with the k-th stay. 0 keeps all."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    threshold = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < threshold, REMOVED)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Logits [..., V] of the smallest set of likeliest entries whose probabilities reach p; the others removed.

    Nucleus sampling (Holtzman et al., arXiv 1904.09751). The entry that crosses p stays, so there is
    always one. 1 keeps all.
    """
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    # The first is kept whatever rounding does to the difference.
    removed = (before >= p) & (torch.arange(logits.shape[-1], device=logits.device) > 0)
    return logits.masked_fill(torch.zeros_like(removed).scatter(-1, order, removed), REMOVED)


def keep_min_p(logits: Tensor, share: float) -> Tensor:
    """Logits [..., V] with entries removed that are less probable than `share` of the likeliest (arXiv 2407.01082).

    0 keeps all; 1 keeps the likeliest.
    """
    if share == 0:
        return logits
    likeliest = logits.amax(-1, keepdim=True)
    return logits.masked_fill(logits - likeliest < torch.tensor(share, dtype=logits.dtype).log(), REMOVED)


def keep_top_sigma(logits: Tensor, count: float) -> Tensor:
    """Logits [..., V] with entries removed that are more than `count` standard deviations below the largest.

    Top-n-sigma (arXiv 2411.07641): what it keeps is the same at every temperature. The deviation is that of the
    entries that are still there. 0 keeps all.
    """
    if count == 0:
        return logits
    there = logits.isfinite()
    num_there = there.sum(-1, keepdim=True)
    finite = logits.where(there, torch.zeros_like(logits))
    mean = finite.sum(-1, keepdim=True) / num_there
    variance = ((finite - mean) ** 2).where(there, torch.zeros_like(logits)).sum(-1, keepdim=True) / num_there
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) - count * variance.sqrt(), REMOVED)


def keep_likely(logits: Tensor, *, top_sigma: float, top_k: int, top_p: float, min_p: float) -> Tensor:
    """Logits [..., V] after all filters, in their order."""
    kept = keep_top_k(keep_top_sigma(logits, top_sigma), top_k)
    return keep_min_p(keep_top_p(kept, top_p), min_p)
