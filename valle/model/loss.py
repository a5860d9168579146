"""Cross-entropy of the predicted elements, and how often the truth is among the ten likeliest."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from valle.model.batch import IGNORED, Batch
from valle.model.layout import Layout

TOP = 10


@dataclass(frozen=True, slots=True)
class LossReport:
    """`total` is the summed cross-entropy in nats, with gradient. The rest is per head of the layout, without.

    `hits` counts labels among the ten likeliest outputs, `counts` labels; for codes the head is the level.
    """

    layout: Layout
    total: Tensor
    losses: Tensor
    hits: Tensor
    counts: Tensor


def sequence_loss(logits: Tensor, batch: Batch) -> LossReport:
    """Loss of logits [M, V] against the labels of their batch.

    The sum, not the mean: whoever accumulates batches knows what to divide by.
    """
    assert batch.labels is not None, "a batch without labels has no loss"
    losses = functional.cross_entropy(logits.float(), batch.labels, reduction="none", ignore_index=IGNORED)
    with torch.no_grad():
        is_label = batch.labels != IGNORED
        truth = logits.gather(1, batch.labels.clamp(min=0)[:, None])
        hits = ((logits > truth).sum(1) < TOP) & is_label
    return LossReport(
        layout=batch.layout,
        total=losses.sum(),
        losses=batch.heads.bincount(losses.detach().double()),
        hits=batch.heads.bincount(hits.double()),
        counts=batch.heads.bincount(is_label.double()),
    )
