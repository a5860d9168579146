"""Open the engine of a run by its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valle.model.attention import AttentionKernel
from valle.training.engines.engine import Engine, PlainEngine
from valle.training.engines.fp8 import use_fp8

if TYPE_CHECKING:
    from valle.model.valle import ValleModel
    from valle.training.options import TrainOptions


def open_engine(model: ValleModel, options: TrainOptions) -> Engine:
    """Open the engine that the options name."""
    # Neither changes the weights, so neither is part of the model's configuration.
    model.trunk.kernel = AttentionKernel(options.attention)
    model.trunk.gradient_checkpointing = options.gradient_checkpointing
    if options.precision == "fp8":
        use_fp8(model, options.device)
    if options.compile:
        model.trunk.compile(dynamic=True)  # lengths differ from batch to batch
    if options.engine == "plain":
        return PlainEngine(model, options)
    # DeepSpeed takes seconds to import and exists on Linux only.
    from valle.training.engines.deepspeed_engine import DeepSpeedEngine

    return DeepSpeedEngine(model, options)
