"""Cross-entropy of the predicted elements, and how often the truth is among the ten likeliest."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from valle.model.batch import Batch

TOP = 10


@dataclass(frozen=True, slots=True)
class LossReport:
    """`total` is the summed cross-entropy in nats, with gradient. The rest is per level, [levels], without.

    `hits` counts labels among the ten likeliest outputs, `counts` labels.
    """

    total: Tensor
    losses: Tensor
    hits: Tensor
    counts: Tensor


def sequence_loss(logits: Tensor, batch: Batch) -> LossReport:
    """Loss of logits [M, V] against the labels of their batch.

    The sum, not the mean: whoever accumulates batches knows what to divide by.
    """
    assert batch.labels is not None, "a batch without labels has no loss"
    losses = functional.cross_entropy(logits.float(), batch.labels, reduction="none")
    levels = batch.prediction_levels
    with torch.no_grad():
        truth = logits.gather(1, batch.labels[:, None])
        hits = (logits > truth).sum(1) < TOP
    return LossReport(
        total=losses.sum(),
        losses=levels.bincount(losses.detach().double()),
        hits=levels.bincount(hits.double()),
        counts=levels.bincount(),
    )
