"""`valle import config`: the YAML file of e-c-k-e-r/vall-e as options of this project, and what has no counterpart."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from valle.training.options import TrainSettings
from warehouse.errors import ConfigurationError

_SIZES = {"quarter": "20m", "full": "220m"}
_SCHEDULES = {"auto": "triangular", "equal": "uniform", "normal": "bell"}
_OPTIMIZERS = {"adamw": "adamw", "prodigy": "prodigy"}
_PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_CODECS = {"encodec": "encodec_24khz", "vocos": "encodec_24khz+vocos", "dac": "dac_44khz", "nemo": "nvidia_44khz"}
_TASKS = {"tts": None, "tts-c": "continuation_ratio", "stt": "transcription_ratio", "len": "length_ratio"}


@dataclass(frozen=True, slots=True)
class ConfigLine:
    """A key of theirs with its value, and the options that it sets here; without one there is no counterpart."""

    key: str
    value: Any
    ours: Mapping[str, Any]


def _named(name: str, names: Mapping[str, str] | None = None) -> Callable[[Any], Mapping[str, Any]]:
    """Return a conversion to one option; a value that `names` lacks has no counterpart."""

    def convert(value: Any) -> Mapping[str, Any]:
        if names is None:
            return {name: value}
        found = names.get(str(value).lower())
        return {} if found is None else {name: found}

    return convert


def _size(value: Any) -> Mapping[str, Any]:
    # Other sizes, and sizes as mappings, are of no preset.
    return {"options.model": _SIZES[value]} if value in _SIZES else {}


def _tasks(value: Any) -> Mapping[str, Any]:
    tasks = [task for task in value if task in _TASKS] if isinstance(value, list) else []
    ratios = {_TASKS[task]: round(tasks.count(task) / len(tasks), 3) for task in dict.fromkeys(tasks)}
    return {f"options.{option}": ratio for option, ratio in ratios.items() if option is not None}


def _durations(value: Any) -> Mapping[str, Any]:
    shortest, longest = value
    return {"selection.where": f"duration BETWEEN {shortest:g} AND {longest:g}"}


# The conversions by key; the first model of the list counts.
_CONVERSIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = MappingProxyType(
    {
        "audio_backend": _named("stages.quantize.codec", _CODECS),
        "device": _named("options.device"),
        "dataset.duration_range": _durations,
        "dataset.prompt_duration_range": _named("options.prompt_seconds"),
        "dataset.prompt_similar_p": _named("options.similar_prompt_ratio"),
        "dataset.tasks_list": _tasks,
        "evaluation.frequency": _named("options.evaluate_every"),
        "hyperparameters.gradient_accumulation_steps": _named("options.accumulate"),
        "hyperparameters.gradient_clipping": _named("options.gradient_clip"),
        "hyperparameters.learning_rate": _named("options.learning_rate"),
        "hyperparameters.optimizer": _named("options.optimizer", _OPTIMIZERS),
        "hyperparameters.warmup_steps": _named("options.warmup_steps"),
        "models.dropout": _named("options.dropout"),
        "models.experimental.cfg_cond_dropout_p": _named("options.condition_dropout"),
        "models.experimental.cfg_prom_dropout_p": _named("options.prompt_dropout"),
        "models.experimental.masking_ratio": _named("options.mask_ratio"),
        "models.experimental.masking_train_p": _named("options.nar_len_ratio"),
        "models.experimental.rvq_levels_p": _named("options.codebook_schedule", _SCHEDULES),
        "models.size": _size,
        "trainer.backend": _named("options.engine", {"local": "plain", "deepspeed": "deepspeed"}),
        "trainer.deepspeed.zero_optimization_level": _named("options.zero_stage"),
        "trainer.gradient_checkpointing": _named("options.gradient_checkpointing"),
        "trainer.iterations": _named("options.max_steps"),
        "trainer.keep_last_checkpoints": _named("options.keep_checkpoints"),
        "trainer.save_frequency": _named("options.save_every"),
        "trainer.weight_dtype": _named("options.precision", _PRECISIONS),
    }
)


def read_config(path: Path) -> list[ConfigLine]:
    """Read a YAML file of theirs: every key, in order. Raises ConfigurationError for a file that is none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read ({' '.join(str(error).split())}).") from error
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{path} is no configuration of e-c-k-e-r/vall-e: it should be a YAML mapping.")
    return [ConfigLine(key, value, _convert(key, value)) for key, value in _flatten(content)]


def write_options(lines: list[ConfigLine], out: Path) -> list[str]:
    """Write the options of `valle train` as a YAML file, and return those of other commands as `name: value`.

    Raises ConfigurationError for a value that our options refuse.
    """
    found = {name: value for line in lines for name, value in line.ours.items()}
    training = {name.removeprefix("options."): value for name, value in found.items() if name.startswith("options.")}
    try:
        TrainSettings(**training)
    except ValueError as error:
        raise ConfigurationError(f"A value has no counterpart: {' '.join(str(error).split())}") from error
    text = yaml.safe_dump({"options": training}, sort_keys=True, allow_unicode=True)
    out.write_text(f"# Options of `valle train --config {out.name}`.\n{text}", encoding="utf-8")
    return [f"{name}: {value}" for name, value in sorted(found.items()) if not name.startswith("options.")]


def _flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        key = f"{prefix}{name}"
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            value = value[0]  # the first model or adapter
        if isinstance(value, Mapping) and value and key not in _CONVERSIONS:
            yield from _flatten(value, f"{key}.")
        else:
            yield key, value


def _convert(key: str, value: Any) -> Mapping[str, Any]:
    convert = _CONVERSIONS.get(key)
    if convert is None or value is None:
        return {}
    try:
        return convert(value)
    except (TypeError, ValueError):
        return {}
