"""Remove unlikely entries from logits: a removed entry is minus infinity."""

from collections.abc import Sequence

import torch
from torch import Tensor

from warehouse.errors import ConfigurationError

REMOVED = float("-inf")


def suppress(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """Remove `ids` from logits [..., V].

    Raises ConfigurationError for an id that the logits do not have, and when nothing would be left.
    """
    size = logits.shape[-1]
    if not ids:
        return logits
    if wrong := [code for code in ids if not 0 <= code < size]:
        raise ConfigurationError(f"Cannot suppress the code {wrong[0]}: the model has codes 0 to {size - 1}.")
    if len(set(ids)) == size:
        raise ConfigurationError("Every code is suppressed; leave at least one.")
    return logits.index_fill(-1, torch.tensor(ids, device=logits.device), REMOVED)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest of logits [..., V] and ties with the k-th; 0 keeps all."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    threshold = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < threshold, REMOVED)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of likeliest entries of logits [..., V] whose probabilities reach p; 1 keeps all.

    Nucleus sampling (Holtzman et al., arXiv 1904.09751). The entry that crosses p stays, so that at
    least one is left.
    """
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    # Rounding may push `before` of the first entry to p; it must stay nevertheless.
    removed = (before >= p) & (torch.arange(logits.shape[-1], device=logits.device) > 0)
    return logits.masked_fill(torch.zeros_like(removed).scatter(-1, order, removed), REMOVED)


def keep_min_p(logits: Tensor, ratio: float) -> Tensor:
    """Remove entries of logits [..., V] less probable than `ratio` times the likeliest (min-p, arXiv 2407.01082).

    0 keeps all; 1 keeps the likeliest.
    """
    if ratio == 0:
        return logits
    likeliest = logits.amax(-1, keepdim=True)
    return logits.masked_fill(logits - likeliest < torch.tensor(ratio, dtype=logits.dtype).log(), REMOVED)


def keep_top_sigma(logits: Tensor, count: float) -> Tensor:
    """Remove entries of logits [..., V] more than `count` standard deviations below the largest; 0 removes none.

    Top-n-sigma (arXiv 2411.07641), which keeps the same entries at every temperature. Entries that an earlier filter
    removed do not count in the deviation.
    """
    if count == 0:
        return logits
    kept = logits.isfinite()
    num_kept = kept.sum(-1, keepdim=True)
    finite = logits.where(kept, torch.zeros_like(logits))
    mean = finite.sum(-1, keepdim=True) / num_kept
    variance = ((finite - mean) ** 2).where(kept, torch.zeros_like(logits)).sum(-1, keepdim=True) / num_kept
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) - count * variance.sqrt(), REMOVED)


def keep_likely(logits: Tensor, *, top_sigma: float, top_k: int, top_p: float, min_p: float) -> Tensor:
    """Apply all filters to logits [..., V]: top-sigma, top-k, top-p, min-p."""
    kept = keep_top_k(keep_top_sigma(logits, top_sigma), top_k)
    return keep_min_p(keep_top_p(kept, top_p), min_p)
