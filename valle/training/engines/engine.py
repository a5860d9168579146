"""Engines turn batches into updates. The loop uses this protocol; `selection.open_engine` selects one."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from valle.model.loss import LossReport, model_loss
from valle.model.valle import ValleModel
from valle.state_files import to_device
from valle.training.distillation import Teacher
from valle.training.engines.optimizer import evaluation_weights, load_optimizer_state, make_average, make_optimizer
from warehouse.errors import CheckpointError

if TYPE_CHECKING:
    from valle.model.batch import Batch
    from valle.training.options import TrainOptions

_HALF_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp8": torch.bfloat16}


class Engine(Protocol):
    """A model with its optimizer on one rank of a run."""

    @property
    def rank(self) -> int:
        """Return the number of this process."""

    @property
    def world_size(self) -> int:
        """Return the number of processes of the run."""

    def accumulate(self, batch: Batch, divisor: float) -> LossReport:
        """Add the gradient of (summed loss / divisor), divisor being the labels of all batches of all ranks."""

    def update(self, learning_rate: float) -> float | None:
        """Clip the gradient, update the weights and clear the gradient; returns its norm before clipping.

        None where it is unknown, or when fp16 overflowed: then the weights stay and the loss scale is reduced.
        """

    def evaluate(self, batch: Batch) -> LossReport:
        """Compute the loss of the weights that a checkpoint holds, without gradient and without dropout."""

    def probe(self, batch: Batch) -> LossReport:
        """Compute the loss of the weights that training continues with, without gradient and without dropout."""

    def largest_weight(self) -> float:
        """Return the largest magnitude of the weights that training continues with; infinite if one is no number."""

    def sum(self, value: float) -> float:
        """Sum a number over all ranks. Every rank must call it."""

    def barrier(self) -> None:
        """Wait until every rank has called it."""

    def weights(self) -> dict[str, Tensor]:
        """Return the weights that a checkpoint holds, averaged if so configured: fp32 on the CPU, complete on rank 0.

        Every rank must call it.
        """

    def state(self) -> dict[str, Any]:
        """Return what `load_state` needs to continue to the bit, complete on rank 0. Every rank must call it."""

    def load_state(self, state: dict[str, Any], weights: dict[str, Tensor]) -> None:
        """Continue from a state on the CPU, perhaps of another number of ranks, and the `weights` saved beside it.

        Raises CheckpointError when the state is not that of the model.
        """


def largest_magnitude(tensors: list[Tensor]) -> float:
    """Return the largest magnitude in tensors; infinite if a value is no number."""
    largest = torch.stack([tensor.detach().abs().max().float() for tensor in tensors if tensor.numel()]).max()
    return float(largest.nan_to_num(nan=torch.inf, posinf=torch.inf))


class PlainEngine:
    """One process, torch only."""

    rank = 0
    world_size = 1

    def __init__(self, model: ValleModel, options: TrainOptions) -> None:
        teacher = options.distillation.teacher
        device = torch.device(options.device)
        self._mix = Teacher(teacher, model.config, options.distillation).to(device).mix if teacher else None
        self._device = torch.device(options.device)
        self._model = model.to(self._device)
        # Two optimizers as one have what a gradient scaler uses, and are no torch optimizer.
        self._optimizer: Any = make_optimizer(model, options)
        self._average = make_average(model, options.average_decay) if options.average_decay else None
        self._clip = options.gradient_clip
        self._dtype = _HALF_TYPES.get(options.precision)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._dtype is torch.float16)

    def accumulate(self, batch: Batch, divisor: float) -> LossReport:
        """See `Engine`."""
        self._model.train()
        report = model_loss(self._model, batch.to(self._device), self._forward, self._mix)
        torch.autograd.backward(self._scaler.scale(report.total / divisor))
        return report

    def update(self, learning_rate: float) -> float | None:
        """See `Engine`."""
        self._scaler.unscale_(self._optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._clip)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._scaler.step(self._optimizer)
        self._scaler.update()
        # Freed rather than zeroed: the next backward pass writes instead of adding.
        self._optimizer.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update_parameters(self._model)
        # A smaller scale cures an overflow; below 1 the gradient itself is not finite.
        is_curable = self._scaler.is_enabled() and self._scaler.get_scale() >= 1
        return None if is_curable and not torch.isfinite(norm) else float(norm)

    def evaluate(self, batch: Batch) -> LossReport:
        """See `Engine`."""
        with evaluation_weights(self._model, self._optimizer):
            return self._loss(self._model if self._average is None else self._averaged, batch)

    def probe(self, batch: Batch) -> LossReport:
        """See `Engine`."""
        return self._loss(self._model, batch)

    def largest_weight(self) -> float:
        """See `Engine`."""
        return largest_magnitude(list(self._model.parameters()))

    def sum(self, value: float) -> float:
        """See `Engine`."""
        return value

    def barrier(self) -> None:
        """See `Engine`."""

    def weights(self) -> dict[str, Tensor]:
        """See `Engine`."""
        with evaluation_weights(self._model, self._optimizer):
            source = self._model if self._average is None else self._averaged
            return {name: tensor.detach().float().cpu().clone() for name, tensor in source.trained_state().items()}

    def state(self) -> dict[str, Any]:
        """See `Engine`."""
        return {
            # A checkpoint may hold averaged weights; training continues from these.
            "model": self._model.trained_state(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": None if self._average is None else self._average_state(),
        }

    def load_state(self, state: dict[str, Any], weights: dict[str, Tensor]) -> None:
        """See `Engine`."""
        try:
            self._load(to_device(state, self._device))
        except (KeyError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"The training state is not that of this model and optimizer ({error}); train in a new run directory."
            ) from error

    def _load(self, state: dict[str, Any]) -> None:
        self._model.load_trained_state(state["model"])
        load_optimizer_state(self._optimizer, state["optimizer"])
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])
        if self._average is not None and state["average"] is not None:
            self._average.n_averaged.copy_(state["average"]["n_averaged"])
            self._averaged.load_trained_state(state["average"]["model"])
        elif self._average is not None:  # switched on for this part of the run
            self._averaged.load_trained_state(state["model"])

    @property
    def _averaged(self) -> ValleModel:
        """Return the averaged model."""
        assert self._average is not None
        assert isinstance(self._average.module, ValleModel)
        return self._average.module

    def _average_state(self) -> dict[str, Any]:
        assert self._average is not None
        return {"n_averaged": self._average.n_averaged, "model": self._averaged.trained_state()}

    def _loss(self, model: ValleModel, batch: Batch) -> LossReport:
        model.eval()
        with torch.no_grad():
            return model_loss(model, batch.to(self._device), self._forward)

    def _forward(self, model: ValleModel, batch: Batch) -> Tensor:
        with self._autocast():
            logits: Tensor = model(batch)
        return logits

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self._device.type, dtype=self._dtype) if self._dtype else nullcontext()
