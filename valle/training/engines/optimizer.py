"""Optimizers, and the moving average of the weights."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.swa_utils import AveragedModel

from valle.training.engines.combined import CombinedOptimizer, is_trunk_matrix
from warehouse.errors import ConfigurationError, DependencyError

if TYPE_CHECKING:
    from valle.model.valle import ValleModel
    from valle.training.options import TrainOptions

# Entries of parameter groups that come from the options, not from the optimizer's own progress.
_GROUP_OPTIONS = ("weight_decay", "betas", "eps")


AnyOptimizer = torch.optim.Optimizer | CombinedOptimizer
# Projections of APOLLO, as in its paper: random, drawn again every 200 updates.
_APOLLO = {"proj": "random", "proj_type": "std", "update_proj_gap": 200}


def parameter_groups(model: ValleModel, weight_decay: float) -> list[dict[str, Any]]:
    """Group the parameters that are trained: matrices with weight decay; norms, biases and the separator without."""
    return _groups(_trained(model), weight_decay)


def _trained(model: ValleModel) -> list[tuple[str, Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def _groups(named: Sequence[tuple[str, Parameter]], weight_decay: float) -> list[dict[str, Any]]:
    # Decaying norms and biases towards 0 shrinks activations without regularizing the model.
    is_matrix = {name: parameter.dim() >= 2 and not name.endswith("bias") for name, parameter in named}
    groups: list[dict[str, Any]] = [
        {"params": [parameter for name, parameter in named if is_matrix[name]], "weight_decay": weight_decay},
        {"params": [parameter for name, parameter in named if not is_matrix[name]], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(model: ValleModel, options: TrainOptions) -> AnyOptimizer:
    """Make the optimizer that the options name.

    AdamW (Loshchilov and Hutter, arXiv 1711.05101), with states of 8 bits (Dettmers et al., arXiv 2110.02861) or of low
    rank (APOLLO, Zhu et al., arXiv 2412.05270); schedule-free AdamW (Defazio et al., arXiv 2405.15682), which needs no
    decay of the learning rate; Prodigy (Mishchenko and Defazio, arXiv 2306.06101) and D-Adaptation (Defazio and
    Mishchenko, arXiv 2301.07733), which estimate the learning rate, given a factor of 1; Muon (Jordan et al., 2024) for
    the matrices of the trunk beside AdamW; Adafactor (Shazeer and Stern, arXiv 1804.04235); SGD with momentum.
    Raises DependencyError for a library that is not installed.
    """
    groups = parameter_groups(model, options.weight_decay)
    rate, betas = options.learning_rate, options.betas
    match options.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, betas=betas, eps=1e-8, fused=True)
        case "schedule-free":
            from schedulefree import AdamWScheduleFree

            optimizer = AdamWScheduleFree(groups, lr=rate, betas=betas, eps=1e-8)
            optimizer.train()
            return optimizer
        case "prodigy":
            from prodigyopt import Prodigy

            return Prodigy(groups, lr=rate, betas=betas, eps=1e-8, safeguard_warmup=True)
        case "sgd":
            return torch.optim.SGD(groups, lr=rate, momentum=betas[0], nesterov=True)
        case "adafactor":
            return torch.optim.Adafactor(groups, lr=rate)
        case "muon":
            return _make_muon(model, options)
        case "d-adaptation":
            library = import_optimizer("dadaptation", "dadaptation")
            return library.DAdaptAdam(groups, lr=rate, betas=betas, eps=1e-8, decouple=True)
        case "adamw-8bit":
            return import_optimizer("bitsandbytes", "bitsandbytes").optim.AdamW8bit(groups, lr=rate, betas=betas)
        case "apollo" | "apollo-mini":
            return _make_apollo(model, options)


def import_optimizer(module: str, package: str) -> Any:
    """Import a library of optimizers. Raises DependencyError when it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"The optimizer needs {package} ({error}); install it with `pip install '.[optimizers]'` or choose another."
        ) from error


def _make_muon(model: ValleModel, options: TrainOptions) -> AnyOptimizer:
    named, decay = _trained(model), options.weight_decay
    matrices = [parameter for name, parameter in named if is_trunk_matrix(name, parameter)]
    rest = _groups([(name, parameter) for name, parameter in named if not is_trunk_matrix(name, parameter)], decay)
    if not matrices:
        raise ConfigurationError("Muon updates matrices of the trunk, and all are frozen; choose another optimizer.")
    # Updates of the size of AdamW's, so that both have one learning rate.
    muon = torch.optim.Muon(matrices, lr=options.learning_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(rest, lr=options.learning_rate, betas=options.betas, eps=1e-8, fused=True)
    return CombinedOptimizer([muon, adamw])


def _make_apollo(model: ValleModel, options: TrainOptions) -> torch.optim.Optimizer:
    is_mini = options.optimizer == "apollo-mini"
    # The smallest rank and a scale per tensor, or a quarter of the width and a scale per channel, as in the paper.
    shape = {"rank": 1, "scale_type": "tensor", "scale": 128} if is_mini else {"scale_type": "channel", "scale": 1}
    named = _trained(model)
    low_rank = [(name, parameter) for name, parameter in named if is_trunk_matrix(name, parameter)]
    rest = [(name, parameter) for name, parameter in named if not is_trunk_matrix(name, parameter)]
    rank = max(1, model.config.width // 4)
    projected = [{"rank": rank} | group | shape | _APOLLO for group in _groups(low_rank, options.weight_decay)]
    library = import_optimizer("apollo_torch", "apollo-torch")
    groups = projected + _groups(rest, options.weight_decay)
    optimizer: torch.optim.Optimizer = library.APOLLOAdamW(
        groups, lr=options.learning_rate, betas=options.betas, no_deprecation_warning=True
    )
    _save_projections(optimizer)
    return optimizer


def _save_projections(optimizer: Any) -> None:
    """Let the state of APOLLO hold the numbers and tensors of its projections instead of objects."""

    def plain(_: Any, state: dict[str, Any]) -> dict[str, Any]:
        rows = {
            index: {name: _numbers(value) if name == "projector" else value for name, value in row.items()}
            for index, row in state["state"].items()
        }
        return state | {"state": rows}

    def objects(_: Any) -> None:
        for group in optimizer.param_groups:
            for row in (optimizer.state[parameter] for parameter in group["params"]):
                if isinstance(row.get("projector"), dict):
                    values, row["projector"] = row["projector"], optimizer._initialize_projector(group, row)
                    vars(row["projector"]).update(values)

    optimizer.register_state_dict_post_hook(plain)
    optimizer.register_load_state_dict_post_hook(objects)


def _numbers(projection: Any) -> dict[str, Any]:
    # torch's load_state_dict would replace a string by the name of a generator; the options have the strings.
    return {name: value for name, value in vars(projection).items() if not isinstance(value, str)}


def load_optimizer_state(optimizer: AnyOptimizer, state: Mapping[str, Any]) -> None:
    """Load the state of an optimizer, but keep the weight decay and betas of its options.

    `load_state_dict` alone would put back those of the earlier run, and a changed option would have no effect.
    """
    configured = [{name: group[name] for name in _GROUP_OPTIONS if name in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(dict(state))
    for group, values in zip(optimizer.param_groups, configured, strict=True):
        group.update(values)


@contextmanager
def evaluation_weights(model: ValleModel, optimizer: AnyOptimizer) -> Iterator[None]:
    """Swap in the evaluation weights of a schedule-free optimizer for the block; restore the training weights.

    The optimizer evaluates gradients at another point than the average that it recommends. It could compute its way
    back, but not exactly, so the training weights are copied and restored bit by bit.
    """
    to_evaluation, to_training = getattr(optimizer, "eval", None), getattr(optimizer, "train", None)
    if to_evaluation is None or to_training is None:
        yield
        return
    training = [parameter.detach().clone() for parameter in model.parameters()]
    to_evaluation()
    try:
        yield
    finally:
        to_training()
        with torch.no_grad():
            for parameter, weights in zip(model.parameters(), training, strict=True):
                parameter.copy_(weights)


def make_average(model: ValleModel, decay: float) -> AveragedModel:
    """Make an exponential moving average of a model's weights, on their device.

    The decay rises to `decay` (bias-corrected warm-up), so that the average forgets the initial weights.
    """

    @torch.no_grad()
    def update(averages: Any, weights: Any, num_averaged: Tensor | int) -> None:
        updates = int(num_averaged)
        factor = 1 - min(decay, (1 + updates) / (10 + updates))
        for average, current in zip(averages, weights, strict=True):
            average.lerp_(current, factor)

    return AveragedModel(model, multi_avg_fn=update)
