"""The configuration of DeepSpeed: what follows from the options, and keys of a file of the user beside it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.training.options import TrainOptions

# Keys that change the memory, the communication or the output of a run, and not what is trained. The engine sets the
# others itself, or never calls the part of DeepSpeed that reads them. A list of what is refused would let typing errors
# pass: DeepSpeed ignores a key that it does not know.
_ACCEPTED = frozenset({
    "aio", "comms_logger", "communication_data_type", "disable_allgather", "dump_state",
    "flops_profiler", "gradient_predivide_factor", "memory_breakdown", "prescale_gradients", "timers",
    "wall_clock_breakdown", "zero_force_ds_cpu_optimizer", "zero_optimization",
})  # fmt: skip
_OPTIONS = {
    "train_batch_size": "batch_tokens, accumulate and processes",
    "train_micro_batch_size_per_gpu": "batch_tokens",
    "gradient_accumulation_steps": "accumulate",
    "gradient_clipping": "gradient_clip",
    "optimizer": "optimizer, learning_rate, betas and weight_decay",
    "scheduler": "schedule and warmup_steps",
    "bf16": "precision",
    "fp16": "precision",
    "amp": "precision",
    "torch_autocast": "precision",
    "compile": "compile",
    # DeepSpeed's own empties the inputs of a block in place, which only its own models allow for.
    "activation_checkpointing": "gradient_checkpointing",
    "zero_optimization.stage": "zero_stage",
    # DeepSpeed 0.19 has no compression library any more; ternary weights are a trunk here.
    "compression_training": "trunk=bitnet",
}
"""The option of a run that is set in place of a key of DeepSpeed."""


def deepspeed_config(options: "TrainOptions") -> dict[str, Any]:
    """Build the configuration of DeepSpeed from the options and their file. Raises ConfigurationError for the file.

    The loop divides the loss by all labels of a step, so DeepSpeed's fixed-size arithmetic gets batches of one.
    """
    own = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": options.accumulate,
        "gradient_clipping": options.gradient_clip,
        "zero_optimization": {"stage": options.zero_stage, "overlap_comm": options.zero_stage > 0},
        "bf16": {"enabled": options.precision == "bf16"},
        # A loss scale of 0 makes it dynamic.
        "fp16": {"enabled": options.precision == "fp16", "loss_scale": 0, "initial_scale_power": 16},
        "zero_allow_untested_optimizer": True,
        # The optimizer is torch's in every configuration; DeepSpeed's own for offloading needs a compiler.
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1 << 62,
        "wall_clock_breakdown": False,
    }
    if options.deepspeed_config is None:
        return own
    given = read_deepspeed_config(options.deepspeed_config)
    return own | {key: own[key] | value if isinstance(own.get(key), dict) else value for key, value in given.items()}


def read_deepspeed_config(path: Path) -> Mapping[str, Any]:
    """Read a JSON file of further keys. Raises ConfigurationError with all keys that are refused."""
    try:
        given = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The configuration of DeepSpeed {path} cannot be read ({error}).") from error
    if not isinstance(given, dict):
        raise ConfigurationError(f"The configuration of DeepSpeed {path} is no JSON object.")
    refused = list(_refused(given))
    if refused:
        raise ConfigurationError(
            f"{path} has keys of DeepSpeed that a file cannot set: {', '.join(refused)}; leave them out. "
            f"Accepted are {', '.join(sorted(_ACCEPTED))}."
        )
    return given


def _refused(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield each key that is refused, with the option that is set in its place."""
    for key, value in given.items():
        if key not in _ACCEPTED:
            yield _with_option(key)
        elif isinstance(value, dict):
            yield from (_with_option(f"{key}.{name}") for name in value if f"{key}.{name}" in _OPTIONS)
        elif key == "zero_optimization":
            yield f"{key} (no object)"


def _with_option(key: str) -> str:
    return f"{key} (option {_OPTIONS[key]})" if key in _OPTIONS else key
