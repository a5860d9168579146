"""The engine for many processes: DeepSpeed with ZeRO (Rajbhandari et al., arXiv 1910.02054), or one process of it.

The state of the optimizer is saved whole, by parameter, as safetensors. DeepSpeed's own checkpoints are pickles of
shards: reading one executes what it holds, and another number of ranks cannot read them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed
from torch import Tensor
from torch.nn import Parameter

from valle.model.loss import LossReport, model_loss
from valle.training.engines.deepspeed_config import deepspeed_config
from valle.training.engines.engine import largest_magnitude
from valle.training.engines.optimizer import make_optimizer
from valle.training.engines.process_group import init_process_group
from warehouse.errors import CheckpointError, ConfigurationError, DependencyError

if TYPE_CHECKING:
    from valle.model.batch import Batch
    from valle.model.valle import ValleModel
    from valle.training.options import TrainOptions

_MOMENTS = ("exp_avg", "exp_avg_sq")
# Progress of DeepSpeed's dynamic loss scale, which only fp16 has.
_SCALER = ("cur_scale", "cur_iter", "last_overflow_iter", "cur_hysteresis")


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
        # Otherwise DeepSpeed compiles a shared-memory reduction at its start; gloo reduces without a compiler.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


class DeepSpeedEngine:
    """Any number of processes, started by a launcher, or one. See `Engine`."""

    def __init__(self, model: ValleModel, options: TrainOptions) -> None:
        if options.precision == "fp16" and not torch.cuda.is_available():
            raise ConfigurationError(
                "DeepSpeed has no fp16 on a CPU; choose the precision bf16 or fp32, or the plain engine."
            )
        config = deepspeed_config(options)
        init_process_group(os.environ)
        self._deepspeed = _import_deepspeed()
        # DeepSpeed adopts the process group that exists.
        self._deepspeed.init_distributed(dist_backend=torch.distributed.get_backend(), verbose=False)
        self.rank = torch.distributed.get_rank()
        self.world_size = torch.distributed.get_world_size()
        self._accumulate = options.accumulate
        self._is_half = options.precision != "fp32"
        self._zero_stage = options.zero_stage
        self._has_pending = False
        self._engine, self._optimizer, _, _ = self._deepspeed.initialize(
            model=model,
            optimizer=make_optimizer(model, options),
            config=config,
        )
        self._device = torch.device(self._engine.device)

    def accumulate(self, batch: Batch, divisor: float) -> LossReport:
        """See `Engine`."""
        if self._has_pending:
            self._engine.step()  # tells DeepSpeed that the micro batch before this one is over
        self._engine.train()
        batch = batch.to(self._device)
        report = model_loss(self._engine.module, batch, self._forward)
        # DeepSpeed averages over ranks and micro batches; our loss is a sum over labels, divided once.
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
        return None if norm is None else float(norm)  # stage 0 does not compute it

    def evaluate(self, batch: Batch) -> LossReport:
        """See `Engine`."""
        self._engine.eval()
        batch = batch.to(self._device)
        with torch.no_grad():
            return model_loss(self._engine.module, batch, self._forward)

    def _forward(self, model: ValleModel, batch: Batch) -> Tensor:
        logits: Tensor = self._engine(batch)  # which wraps `model`
        return logits

    def probe(self, batch: Batch) -> LossReport:
        """See `Engine`; there is no average, so both weights are the same."""
        return self.evaluate(batch)

    def largest_weight(self) -> float:
        """See `Engine`."""
        parameters = self._engine.module.parameters()
        shards = [getattr(parameter, "ds_tensor", parameter) for parameter in parameters]
        largest = torch.tensor(largest_magnitude(shards), dtype=torch.float64, device=self._device)
        torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
        return float(largest)

    def sum(self, value: float) -> float:
        """See `Engine`."""
        summed = torch.tensor(value, dtype=torch.float64, device=self._device)
        torch.distributed.all_reduce(summed)
        return float(summed)

    def barrier(self) -> None:
        """See `Engine`."""
        torch.distributed.barrier()

    def weights(self) -> dict[str, Tensor]:
        """See `Engine`."""
        return self._gather(self._full_weights)

    def state(self) -> dict[str, Any]:
        """See `Engine`."""
        states = self._base_optimizer.state
        self._link_moments()
        scaler = getattr(self._optimizer, "loss_scaler", None)
        return {
            "step": float(next(iter(states.values()))["step"]) if states else 0.0,
            "moments": {kind: self._gather(partial(self._full_moment, kind)) for kind in _MOMENTS if states},
            "scaler": {name: getattr(scaler, name) for name in _SCALER if hasattr(scaler, name)},
        }

    def load_state(self, state: dict[str, Any], weights: dict[str, Tensor]) -> None:
        """See `Engine`."""
        # Every rank reads the whole state and sets its own shard, so the number of ranks may differ.
        names = {name for name, _ in self._named_parameters()}
        if any(set(tensors) != names for tensors in (weights, *state["moments"].values())):
            raise CheckpointError("The training state is not that of this model; train in a new run directory.")
        if state["moments"]:
            self._allocate_moments(state["step"])
            self._link_moments()
        for name, parameter in self._named_parameters():
            self._set_weights(parameter, weights[name])
            for kind, moments in state["moments"].items():
                self._set_full(parameter, moments[name], kind)
        scaler = getattr(self._optimizer, "loss_scaler", None)
        for name, value in state["scaler"].items():
            if hasattr(scaler, name):
                setattr(scaler, name, value)

    def _named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        yield from self._engine.module.named_parameters()

    @property
    def _base_optimizer(self) -> torch.optim.Optimizer:
        """The torch optimizer, which ZeRO wraps from stage 1 on."""
        return self._optimizer if self._zero_stage == 0 else self._optimizer.optimizer

    def _gather(self, full: Callable[[Parameter], Tensor]) -> dict[str, Tensor]:
        """Gather a tensor per parameter, in fp32 on the CPU; empty on all ranks but 0."""
        gathered = {}
        for name, parameter in self._named_parameters():
            tensor = full(parameter)
            if self.rank == 0:
                gathered[name] = tensor.detach().float().cpu().clone()
        return gathered

    def _full_weights(self, parameter: Parameter) -> Tensor:
        if self._is_half:  # the optimizer holds the fp32 weights; the module has rounded copies
            master = self._deepspeed.utils.safe_get_full_fp32_param(parameter)
            assert master is not None, "DeepSpeed has no fp32 copy of a parameter"
            return master
        with self._deepspeed.zero.GatheredParameters([parameter], enabled=hasattr(parameter, "ds_id")):
            return parameter.detach().clone()

    def _full_moment(self, kind: str, parameter: Parameter) -> Tensor:
        if self._zero_stage == 0:
            return self._base_optimizer.state[parameter][kind]
        moment = self._deepspeed.utils.safe_get_full_optimizer_state(parameter, kind)
        assert moment is not None, f"DeepSpeed has no {kind} of a parameter"
        return moment

    def _allocate_moments(self, step: float) -> None:
        """Create the state that AdamW would create in its first update: per parameter, or per flat shard of ZeRO."""
        base = self._base_optimizer
        if self._zero_stage == 3:
            flat = list(self._optimizer.fp32_partitioned_groups_flat)
        else:
            flat = [parameter for group in base.param_groups for parameter in group["params"]]
        for shard in flat:
            moments = {kind: torch.zeros_like(shard) for kind in _MOMENTS}
            base.state[shard] = {"step": torch.tensor(step, device=shard.device), **moments}

    def _link_moments(self) -> None:
        """Link each parameter to its span of the flat moments of ZeRO 1 and 2.

        DeepSpeed 0.19.8 links them after the first update of the first parameter group, when those of other groups
        do not exist yet.
        """
        if self._zero_stage in (1, 2) and self._base_optimizer.state:
            groups = zip(self._optimizer.bit16_groups, self._optimizer.single_partition_of_fp32_groups, strict=True)
            for parameters, shard in groups:
                link = self._deepspeed.utils.lazy_init_hp_params_optimizer_state
                link(parameters, shard, self._base_optimizer.state)

    def _set_weights(self, parameter: Parameter, weights: Tensor) -> None:
        values = weights.to(self._device)
        gathered = self._deepspeed.zero.GatheredParameters(
            [parameter], modifier_rank=0, enabled=hasattr(parameter, "ds_id")
        )
        with gathered, torch.no_grad():
            parameter.copy_(values)
        # ZeRO updates a second, flat copy of the weights; the module's are overwritten from it.
        if self._zero_stage:
            self._set_full(parameter, values, None)

    def _set_full(self, parameter: Any, values: Tensor, kind: str | None) -> None:
        """Set the span of this rank of the fp32 weights, or of a moment, from the whole."""
        values = values.to(self._device).reshape(parameter.shape if self._zero_stage < 3 else -1)
        if self._zero_stage == 0:
            assert kind is not None, "stage 0 has no second copy of the weights"
            self._base_optimizer.state[parameter][kind].copy_(values)
        elif self._zero_stage == 3:
            # The last shard is padded, which DeepSpeed's setter of whole parameters does not expect.
            size = parameter.ds_tensor.numel()
            padded = torch.nn.functional.pad(values, (0, size * self.world_size - values.numel()))
            shard = padded.narrow(0, size * self.rank, size)
            utilities = self._deepspeed.utils
            if kind is None:
                utilities.safe_set_local_fp32_param(parameter, shard)
            else:
                utilities.safe_set_local_optimizer_state(parameter, shard, kind)
        elif kind is None:
            self._deepspeed.utils.safe_set_full_fp32_param(parameter, values)
        else:
            self._deepspeed.utils.safe_set_full_optimizer_state(parameter, values, kind)
