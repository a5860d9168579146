"""Classifier-free guidance: away from what would be said without text and prompt."""

from torch import Tensor


def guide(conditional: Tensor, unconditional: Tensor, strength: float, rescale: float) -> Tensor:
    """Guided logits [..., V]: `unconditional + strength * (conditional - unconditional)`; a strength of 1 is none.

    Ho and Salimans, arXiv 2207.12598, eq. 6. Guidance makes distributions sharper than they should be; `rescale` (0
    to 1) is how much of the spread over the vocabulary is set back to the conditional one, frame by frame (Lin et
    al., arXiv 2305.08891, eq. 15 and 16).
    """
    if strength == 1:
        return conditional
    guided = unconditional + strength * (conditional - unconditional)
    spread = conditional.std(-1, keepdim=True) / guided.std(-1, keepdim=True).clamp(min=1e-6)
    return guided * (rescale * spread + 1 - rescale)
