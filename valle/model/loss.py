"""Cross-entropy of the predicted elements, and top-10 accuracy."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from valle.model.batch import IGNORED, Batch
from valle.model.layout import Layout
from valle.model.valle import ValleModel

TOP = 10


@dataclass(frozen=True, slots=True)
class LossReport:
    """Summed cross-entropy in nats: `total` with gradient; the rest per head of the layout, without.

    `hits` counts labels among the ten likeliest outputs, `counts` labels; for codes the head is the codebook. `load`
    [experts] is how often a router chose each expert; None without a router.
    """

    layout: Layout
    total: Tensor
    losses: Tensor
    hits: Tensor
    counts: Tensor
    load: Tensor | None = None


Forward = Callable[[ValleModel, Batch], Tensor]
"""Computes the logits of a batch with a model, in any precision."""


Mix = Callable[[Tensor, Tensor, Batch], Tensor]
"""Mixes the summed loss of labels with another of the logits [M, V] of a batch."""


def model_loss(
    model: ValleModel, batch: Batch, forward: Forward = ValleModel.__call__, mix: Mix | None = None
) -> LossReport:
    """Compute the loss of a batch; in training `total` includes that of guesses and routers, where there are any."""
    logits = forward(model, batch)
    report = sequence_loss(logits, batch)
    total, router = report.total, model.trunk.router_report()
    if mix is not None:
        total = mix(total, logits, batch)
    if model.training and model.lookahead_loss is not None:
        total = total + model.lookahead_loss
    if router is not None:  # per label, as the rest of the sum
        total = total + model.config.router_loss * batch.num_labels * router.balance
    return replace(report, total=total, load=None if router is None else router.load)


def sequence_loss(logits: Tensor, batch: Batch) -> LossReport:
    """Compute the loss of logits [M, V] against the labels of their batch.

    A sum, not a mean: only the caller that accumulates batches knows the number of labels to divide by. The factors of
    the batch are in `total` alone.
    """
    assert batch.labels is not None, "a batch without labels has no loss"
    losses = functional.cross_entropy(logits.float(), batch.labels, reduction="none", ignore_index=IGNORED)
    with torch.no_grad():
        is_label = batch.labels != IGNORED
        truth = logits.gather(1, batch.labels.clamp(min=0)[:, None])
        hits = ((logits > truth).sum(1) < TOP) & is_label
    return LossReport(
        layout=batch.layout,
        total=losses.sum() if batch.factors is None else (losses * batch.factors[batch.heads]).sum(),
        losses=batch.heads.bincount(losses.detach().double()),
        hits=batch.heads.bincount(hits.double()),
        counts=batch.heads.bincount(is_label.double()),
    )
