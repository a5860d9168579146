"""Classifier-free guidance: extrapolate from the unconditional logits."""

from torch import Tensor


def guide(conditional: Tensor, unconditional: Tensor, strength: float, rescale: float) -> Tensor:
    """Compute `unconditional + strength * (conditional - unconditional)` of logits [..., V]; a strength of 1 is off.

    Ho and Salimans, arXiv 2207.12598, eq. 6. Guidance sharpens distributions too much; `rescale` (0 to 1) restores the
    spread over the vocabulary to the conditional one, frame by frame (Lin et al., arXiv 2305.08891, eq. 15 and 16).
    """
    if strength == 1:
        return conditional
    guided = unconditional + strength * (conditional - unconditional)
    spread = conditional.std(-1, keepdim=True) / guided.std(-1, keepdim=True).clamp(min=1e-6)
    return guided * (rescale * spread + 1 - rescale)
