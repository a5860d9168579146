"""Repetition-aware sampling of VALL-E 2 (arXiv 2406.05370, algorithm 1)."""

import torch
from torch import Tensor

from valle.synthesis.options import RepetitionAwareOptions
from valle.synthesis.samplers.drawing import draw


def redraw_repetition(
    code: int, history: Tensor, logits: Tensor, *, options: RepetitionAwareOptions, generator: torch.Generator
) -> int:
    """`code`, drawn from a nucleus; one from all of logits [V] if `code` has too large a share of the last frames.

    Frames before the beginning count as others, as in the paper.
    """
    if options.window == 0:
        return code
    share = int((history[-options.window :] == code).sum()) / options.window
    return int(draw(logits[None], 1.0, generator)) if share > options.threshold else code
