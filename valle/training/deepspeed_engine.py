"""The engine for many processes: DeepSpeed with ZeRO (Rajbhandari et al., arXiv 1910.02054), or one process of it."""

import os
import socket
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch import Tensor

from valle.model.batch import Batch
from valle.model.loss import LossReport, sequence_loss
from valle.model.valle import ValleModel
from valle.training.optimizer import make_optimizer
from valle.training.options import TrainOptions
from warehouse.errors import ConfigurationError, DependencyError


def deepspeed_config(options: TrainOptions) -> dict[str, Any]:
    """The configuration DeepSpeed gets; there is no second file to keep in step with the options.

    The loop scales the loss by all labels of a step, so DeepSpeed's fixed-size arithmetic sees batches of one.
    """
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": options.accumulate,
        "gradient_clipping": options.gradient_clip,
        "zero_optimization": {"stage": options.zero_stage, "overlap_comm": options.zero_stage > 0},
        "bf16": {"enabled": options.precision == "bf16"},
        # A loss scale of 0 is DeepSpeed's word for one that moves by itself.
        "fp16": {"enabled": options.precision == "fp16", "loss_scale": 0, "initial_scale_power": 16},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 1 << 62,
        "wall_clock_breakdown": False,
    }


def single_process_environment(environment: MutableMapping[str, str]) -> None:
    """Fill in what a launcher would have set, for one process on this machine with a free port."""
    if "WORLD_SIZE" in environment:
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment.update(
        {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    )


def _import_deepspeed() -> Any:
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    try:
        import deepspeed
    except ImportError as error:
        raise DependencyError(
            "The deepspeed engine needs DeepSpeed; install it with `pip install deepspeed`."
        ) from error
    if not torch.cuda.is_available():
        # Else DeepSpeed compiles a shared-memory reduction at its start; gloo does the same without a compiler.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


class DeepSpeedEngine:
    """Any number of processes; started by a launcher, or alone. See `Engine`."""

    def __init__(self, model: ValleModel, options: TrainOptions) -> None:
        if options.precision == "fp16" and not torch.cuda.is_available():
            raise ConfigurationError(
                "DeepSpeed has no fp16 on a CPU; choose the precision bf16 or fp32, or the plain engine."
            )
        single_process_environment(os.environ)
        self._deepspeed = _import_deepspeed()
        if not torch.distributed.is_initialized():
            self._deepspeed.init_distributed(
                dist_backend="nccl" if torch.cuda.is_available() else "gloo", verbose=False
            )
        self.rank = torch.distributed.get_rank()
        self.world_size = torch.distributed.get_world_size()
        self._accumulate = options.accumulate
        self._is_half = options.precision != "fp32"
        self._has_pending = False
        self._engine, self._optimizer, _, _ = self._deepspeed.initialize(
            model=model,
            optimizer=make_optimizer(model, options),
            config=deepspeed_config(options),
        )
        self._device = torch.device(self._engine.device)

    def accumulate(self, batch: Batch, divisor: float) -> LossReport:
        """See `Engine`."""
        if self._has_pending:
            self._engine.step()  # tells DeepSpeed that the micro batch before this one is over
        self._engine.train()
        batch = batch.to(self._device)
        report = sequence_loss(self._engine(batch), batch)
        # DeepSpeed averages over ranks and micro batches; ours is a sum over labels divided once.
        self._engine.backward(report.total * (self.world_size * self._accumulate / divisor))
        self._has_pending = True
        return report

    def update(self, learning_rate: float) -> float | None:
        """See `Engine`."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._engine.step()
        self._has_pending = False
        if getattr(self._optimizer, "overflow", False):
            return None
        norm = self._engine.get_global_grad_norm()
        return None if norm is None else float(norm)  # stage 0 does not keep it

    def evaluate(self, batch: Batch) -> LossReport:
        """See `Engine`."""
        self._engine.eval()
        batch = batch.to(self._device)
        with torch.no_grad():
            return sequence_loss(self._engine(batch), batch)

    def total(self, value: float) -> float:
        """See `Engine`."""
        summed = torch.tensor(value, dtype=torch.float64, device=self._device)
        torch.distributed.all_reduce(summed)
        return float(summed)

    def weights(self) -> dict[str, Tensor]:
        """See `Engine`."""
        gathered = {}
        module = self._engine.module
        for name, parameter in module.named_parameters():
            if self._is_half:  # the optimizer keeps the fp32 weights; the module's are rounded copies
                master = self._deepspeed.utils.safe_get_full_fp32_param(parameter)
                assert master is not None, f"DeepSpeed keeps no fp32 copy of {name}"
                gathered[name] = master.detach().float().cpu().clone()
                continue
            with self._deepspeed.zero.GatheredParameters([parameter], enabled=hasattr(parameter, "ds_id")):
                gathered[name] = parameter.detach().float().cpu().clone()
        return gathered

    def save_state(self, directory: Path) -> None:
        """See `Engine`."""
        directory.mkdir(parents=True, exist_ok=True)
        self._engine.save_checkpoint(str(directory), tag="deepspeed")

    def load_state(self, directory: Path) -> None:
        """See `Engine`."""
        self._engine.load_checkpoint(str(directory), tag="deepspeed")
