"""What turns batches into updates. The loop knows this protocol; `open_engine` picks the implementation."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from valle.model.attention import AttentionKernel
from valle.model.batch import Batch
from valle.model.loss import LossReport, sequence_loss
from valle.model.valle import ValleModel
from valle.training.optimizer import WeightAverage, make_optimizer, weights_to_use
from valle.training.options import TrainOptions

_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Engine(Protocol):
    """A model with its optimizer on one rank of a run."""

    @property
    def rank(self) -> int:
        """Number of this process."""

    @property
    def world_size(self) -> int:
        """Processes of the run."""

    def accumulate(self, batch: Batch, divisor: float) -> LossReport:
        """Add the gradient of (summed loss / divisor), divisor being the labels of all batches of all ranks."""

    def update(self, learning_rate: float) -> float | None:
        """Clip, step and forget the gradient; returns its norm before clipping.

        None where it is not known, or when fp16 overflowed: then the weights stay and the loss is scaled less.
        """

    def evaluate(self, batch: Batch) -> LossReport:
        """Loss of a batch without gradient and without dropout."""

    def total(self, value: float) -> float:
        """The sum of a number over all ranks."""

    def weights(self) -> dict[str, Tensor]:
        """The weights to speak with, averaged where the options say so: fp32 on the CPU, complete on rank 0.

        Every rank must call it.
        """

    def save_state(self, directory: Path) -> None:
        """Write what `load_state` needs to continue to the bit. Every rank must call it."""

    def load_state(self, directory: Path) -> None:
        """Continue from a directory that `save_state` wrote."""


class PlainEngine:
    """One process, torch only."""

    rank = 0
    world_size = 1

    def __init__(self, model: ValleModel, options: TrainOptions) -> None:
        self._device = torch.device(options.device)
        self._model = model.to(self._device)
        self._optimizer = make_optimizer(model, options)
        self._average = WeightAverage(model, options.average_decay) if options.average_decay else None
        self._clip = options.gradient_clip
        self._dtype = _HALVES.get(options.precision)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._dtype is torch.float16)

    def accumulate(self, batch: Batch, divisor: float) -> LossReport:
        """See `Engine`."""
        self._model.train()
        batch = batch.to(self._device)
        with self._autocast():
            logits = self._model(batch)
        report = sequence_loss(logits, batch)
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
        self._optimizer.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update(self._model)
        # A smaller scale cures an overflow; below 1 the gradient itself is not finite.
        is_curable = self._scaler.is_enabled() and self._scaler.get_scale() >= 1
        return None if is_curable and not torch.isfinite(norm) else float(norm)

    def evaluate(self, batch: Batch) -> LossReport:
        """See `Engine`."""
        self._model.eval()
        batch = batch.to(self._device)
        weights = self._average.weights if self._average is not None else {}
        with weights_to_use(self._model, self._optimizer), torch.no_grad(), self._autocast():
            logits = torch.func.functional_call(self._model, weights, (batch,))
        return sequence_loss(logits, batch)

    def total(self, value: float) -> float:
        """See `Engine`."""
        return value

    def weights(self) -> dict[str, Tensor]:
        """See `Engine`."""
        with weights_to_use(self._model, self._optimizer):
            weights = self._average.weights if self._average is not None else self._model.state_dict()
            return {name: tensor.detach().float().cpu().clone() for name, tensor in weights.items()}

    def save_state(self, directory: Path) -> None:
        """See `Engine`."""
        directory.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": None if self._average is None else self._average.state(),
        }
        torch.save(state, directory / "plain.pt")

    def load_state(self, directory: Path) -> None:
        """See `Engine`."""
        state = torch.load(directory / "plain.pt", map_location=self._device, weights_only=True)
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if state.get("scaler"):
            self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.restore(state["average"] or WeightAverage.start(self._model))

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self._device.type, dtype=self._dtype) if self._dtype else nullcontext()


def open_engine(model: ValleModel, options: TrainOptions) -> Engine:
    """The engine the options name."""
    model.trunk.kernel = AttentionKernel(options.attention)
    model.trunk.gradient_checkpointing = options.gradient_checkpointing
    if options.engine == "plain":
        return PlainEngine(model, options)
    from valle.training.deepspeed_engine import DeepSpeedEngine

    return DeepSpeedEngine(model, options)
