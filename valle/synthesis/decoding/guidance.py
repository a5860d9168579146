"""Classifier-free guidance: extrapolate from the unconditional logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from valle.synthesis.options import SamplingOptions


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


def is_guided(options: SamplingOptions, codebooks: int) -> bool:
    """Return whether options guide a pass that predicts the first `codebooks` of a frame."""
    return options.guidance != 1 or (codebooks > 1 and options.nar_guidance != 1)


def guide_frames(
    conditional: Tensor, unconditional: Tensor, options: SamplingOptions, strength: float, codebooks: int
) -> Tensor:
    """Guide logits [..., predictions, V] of codebook 0 by `strength`, and those of the rest of whole frames as NAR.

    The predictions are `codebooks` of one frame, or frames of a group where `codebooks` is 1.
    """
    if codebooks == 1:
        return guide(conditional, unconditional, strength, options.guidance_rescale)
    parts = zip(conditional.tensor_split([1], -2), unconditional.tensor_split([1], -2), strict=True)
    strengths = (strength, options.nar_guidance)
    guided = [guide(*pair, one, options.guidance_rescale) for pair, one in zip(parts, strengths, strict=True)]
    return torch.cat(guided, -2)
