"""Estimate the memory of a training by arithmetic, before anything is allocated.

`valle.training.memory_plan` measures; this takes no time, so every start has it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valle.training.engines.nodes import count_ranks

if TYPE_CHECKING:
    from valle.model.valle import ValleModel
    from valle.training.options import TrainOptions

FACTOR = 1.5
"""Largest factor between the estimated activations and measured ones, of the trunks and precisions that are tested."""

# Numbers of 4 bytes that a layer of llama stores for each slot, as multiples of its width and of the hidden size of its
# MLP: inputs of norms, projections and activations. Those of other trunks are multiples of it. From measurements of
# `measure` in `memory_plan`, whose test compares them.
_OF_WIDTH, _OF_MLP = 13.0, 4.0
_OF_TRUNK = {"llama": 1.0, "transformer": 0.67, "bitnet": 1.56, "retnet": 1.61, "mixtral": 1.68, "mamba": 5.3}
_OF_EMBEDDINGS = 3.5
# What the norms and the residuals keep in 4 bytes is not halved.
_IN_HALF_PRECISION = 0.58
_PREDICTIONS_OF_A_SLOT = 0.7
# Numbers of 4 bytes per weight.
_OF_OPTIMIZER = {"sgd": 1.0, "adamw-8bit": 0.5, "adafactor": 0.1, "muon": 1.2, "apollo": 1.2, "apollo-mini": 0.6,
                 "prodigy": 4.0, "d-adaptation": 3.0}  # fmt: skip
_OF_ADAMW = 2.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of fp32 weights, of those that are trained, of the state of the optimizer and of stored activations."""

    weights: float
    trained: float
    optimizer: float
    activations: float

    def extrapolate(self, other: Sizes, steps: float) -> Sizes:
        """Return the sizes on the line through these (0 steps) and `other` (1 step)."""
        pairs = zip(_values(self), _values(other), strict=True)
        return Sizes(*(mine + steps * (its - mine) for mine, its in pairs))


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes of one rank at the end of a forward pass, when most is allocated."""

    parameters: int
    ranks: int
    states: float
    activations: float

    @property
    def gigabytes(self) -> float:
        """Return all of it in GB; libraries, the CUDA context and buffers of communication come on top."""
        return round((self.states + self.activations) / 1e9, 3)

    def describe(self) -> str:
        """Return the estimate in a sentence."""
        of_ranks = f" of each of {self.ranks} ranks" if self.ranks > 1 else ""
        return (
            f"Memory{of_ranks}, estimated: {self.gigabytes:.2f} GB, of which weights, gradients and optimizer are "
            f"{self.states / 1e9:.2f} and activations {self.activations / 1e9:.2f}; `valle plan train` measures."
        )


def estimate_memory(model: ValleModel, options: TrainOptions) -> MemoryEstimate:
    """Estimate the memory of one rank of a run. Raises ConfigurationError for nodes that cannot be read."""
    weights = 4.0 * sum(parameter.numel() for parameter in model.parameters())
    trained = 4.0 * sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    activations = _activations(model, options)
    sizes = Sizes(weights, trained, trained * _OF_OPTIMIZER.get(options.optimizer, _OF_ADAMW), activations)
    return MemoryEstimate(
        parameters=round(weights / 4),
        ranks=count_ranks(options.nodes, options.processes, os.environ),
        states=sum(states_of_a_rank(sizes, options, None if options.engine == "plain" else options.zero_stage)),
        activations=activations,
    )


def _activations(model: ValleModel, options: TrainOptions) -> float:
    config, slots = model.config, options.batch_tokens
    half = 1.0 if options.precision == "fp32" else _IN_HALF_PRECISION
    layer = (_OF_WIDTH * config.width + _OF_MLP * config.feed_forward) * _OF_TRUNK[config.trunk] * half
    stored = config.depth * layer
    if options.gradient_checkpointing:  # each layer stores its input; one at a time is computed again
        stored = layer + config.depth * config.width
    groups = config.num_codebooks if config.whole_frames else 1
    heads = _PREDICTIONS_OF_A_SLOT * groups * (config.width + config.codebook_size)
    copies = 0.0 if options.precision == "fp32" else 2.0 * sum(one.numel() for one in model.trunk.parameters())
    return 4.0 * slots * (stored + _OF_EMBEDDINGS * config.width + heads) + copies


def states_of_a_rank(whole: Sizes, options: TrainOptions, stage: int | None) -> tuple[float, float, float]:
    """Return the bytes of weights, gradients and optimizer of one rank (Rajbhandari et al., arXiv 1910.02054)."""
    ranks = count_ranks(options.nodes, options.processes, os.environ)
    weights, gradients, optimizer = whole.weights, whole.trained, whole.optimizer
    if options.average_decay:
        weights += whole.weights
    if stage is not None and options.precision != "fp32":  # DeepSpeed keeps the fp32 weights with the optimizer
        weights, gradients, optimizer = weights / 2, gradients / 2, optimizer + whole.weights
    if stage is None:
        return weights, gradients, optimizer
    return (
        weights / ranks if stage >= 3 else weights,
        gradients / ranks if stage >= 2 else gradients,
        optimizer / ranks if stage >= 1 else optimizer,
    )


def _values(sizes: Sizes) -> tuple[float, ...]:
    return sizes.weights, sizes.trained, sizes.optimizer, sizes.activations
