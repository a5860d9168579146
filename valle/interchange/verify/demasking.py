"""Masked decoding as the original program does it, to compare traces: greedy, with its own scores and guidance.

It differs from ours on purpose and is for verification only: scores come from filtered logits, guidance is rescaled by
one deviation over all frames and codes, and by default finished frames are scored and masked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from valle.model.batch import make_batch
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.synthesis.decoding.conditions import Condition
from valle.tasks.tts import TTS

GUIDANCE = 2.5


@dataclass(frozen=True, slots=True)
class Demasking:
    """Options of one variant."""

    num_rounds: int
    top_sigma: float
    masked_only: bool
    remask: bool
    rescale: float

    def count(self, step: int, length: int) -> int:
        """Return the frames that are masked in a step."""
        # In single precision, as the original: the last step would have another frame otherwise.
        noise = torch.cos(torch.linspace(0, 1, self.num_rounds)[step] * np.pi * 0.5)
        extra = 1 / (2 * self.num_rounds) if self.remask else 0.0
        return max(1, min(int((noise + extra) * length), length - step))


@torch.inference_mode()
def demask(
    model: ValleModel, conditions: Sequence[Condition], lengths: Sequence[int], options: Demasking
) -> list[NDArray[np.int64]]:
    """Decode codebook 0 of rows at given lengths: codes [T] each."""
    codes = [torch.zeros(length, dtype=torch.long) for length in lengths]
    scores = [torch.ones(length) for length in lengths]
    for step in range(options.num_rounds):
        masks = []
        for score in scores:
            mask = torch.zeros(len(score), dtype=torch.bool)
            lowest = score.topk(options.count(step, len(score)), largest=False).indices
            masks.append(mask.index_fill(0, lowest, True))
        for row, logits in enumerate(_guided(model, conditions, codes, masks, options.rescale)):
            likely = _filtered(logits, options.top_sigma)
            codes[row] = torch.where(masks[row], likely.argmax(-1), codes[row])
            certainty = likely.softmax(-1).amax(-1)
            kept = torch.ones_like(certainty)
            scores[row] = torch.where(masks[row], certainty, kept) if options.masked_only else certainty
    return [row.numpy() for row in codes]


def _filtered(logits: Tensor, top_sigma: float) -> Tensor:
    if not top_sigma:
        return logits
    threshold = logits.amax(-1, keepdim=True) - top_sigma * logits.std(-1, keepdim=True)
    return logits.masked_fill(logits < threshold, -torch.inf)


def _guided(
    model: ValleModel, conditions: Sequence[Condition], codes: Sequence[Tensor], masks: Sequence[Tensor], rescale: float
) -> list[Tensor]:
    plain = _logits(model, conditions, codes, masks)
    nulls = _logits(model, [one.without_text() for one in conditions], codes, masks)
    guided = []
    for with_text, without in zip(plain, nulls, strict=True):
        extended = without + GUIDANCE * (with_text - without)
        scaled = extended * (with_text.std() / extended.std())
        guided.append(rescale * scaled + (1 - rescale) * extended)
    return guided


def _logits(
    model: ValleModel, conditions: Sequence[Condition], codes: Sequence[Tensor], masks: Sequence[Tensor]
) -> list[Tensor]:
    rows = [
        one.row(0, row.numpy()[None], mask.numpy()) for one, row, mask in zip(conditions, codes, masks, strict=True)
    ]
    logits = model(make_batch(TTS.layout(Mode.NAR_LEN), rows, model.config)).float()
    return list(logits.split([len(row) for row in codes]))
