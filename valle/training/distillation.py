"""Knowledge distillation: a student learns the outputs of a trained model (Hinton et al., arXiv 1503.02531)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from valle.checkpoints.checkpoint import load_model
from valle.model.batch import IGNORED, Batch
from warehouse.errors import CheckpointError

if TYPE_CHECKING:
    from valle.model.config import ModelConfig
    from valle.model.valle import ValleModel
    from valle.training.options import DistillationOptions

# Fields of both configurations that outputs and positions depend on.
_SAME = ("num_codebooks", "codebook_size", "num_symbols", "languages", "group", "whole_frames", "text_stride")


class Teacher:
    """A trained model and how its outputs are compared with those of the student."""

    def __init__(self, checkpoint: Path, student: ModelConfig, options: DistillationOptions) -> None:
        model, card = load_model(checkpoint)
        if different := [name for name in _SAME if getattr(card.model, name) != getattr(student, name)]:
            raise CheckpointError(
                f"The teacher {checkpoint} has another {' and '.join(different)} than the run; choose another teacher."
            )
        self._model: ValleModel = model.requires_grad_(False)
        self._options = options

    def to(self, device: torch.device) -> Teacher:
        """Move the teacher to a device."""
        self._model.to(device)
        return self

    def mix(self, loss: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """Return the summed loss of labels mixed with that of the teacher, for logits [M, V] of the student."""
        assert batch.labels is not None, "a batch without labels has no loss"
        with torch.no_grad():
            taught = self._model(batch)
        is_label = batch.labels != IGNORED
        alpha = self._options.alpha
        return alpha * loss + (1 - alpha) * self._distance(logits[is_label].float(), taught[is_label].float())

    def _distance(self, logits: Tensor, taught: Tensor) -> Tensor:
        """Sum the distances of outputs [n, V]; the square of the temperature keeps the size of gradients."""
        temperature = self._options.temperature
        if self._options.loss == "mse":
            # Logits matter up to a constant, which a difference of means would punish.
            difference = (logits - logits.mean(-1, keepdim=True)) - (taught - taught.mean(-1, keepdim=True))
            return difference.square().mean(-1).sum()
        student, teacher = ((x / temperature).log_softmax(-1) for x in (logits, taught))
        return functional.kl_div(student, teacher, reduction="sum", log_target=True) * temperature**2
