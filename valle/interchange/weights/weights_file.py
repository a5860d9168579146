"""Files of weights of e-c-k-e-r/vall-e: `.sft`, or `.pth` without unpickling anything but tensors and plain values.

A `.sft` is a safetensors file whose metadata are JSON texts: `config` (the model section of the YAML file, with all
defaults), `userdata` (the symbol map) and `stats` (counters). A `.pth` has the same under the same names, and the
weights under `module`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open
from torch import Tensor

from valle.tensors import load_pickled
from warehouse.errors import CheckpointError

_SAFETENSORS = (".sft", ".safetensors")
_PICKLED = (".pth", ".pt", ".ckpt")
SUFFIXES = (*_SAFETENSORS, *_PICKLED)


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """Tensors by name, the model section of the configuration, the integer of each symbol, and counters."""

    path: Path
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]
    strings: Mapping[str, int]
    stats: Mapping[str, Any]

    @property
    def step(self) -> int:
        """Return the updates it was trained for, as far as the file records them."""
        return int(self.stats.get("global_step") or 0)


def read_weights_file(path: Path, config: Path | None = None) -> WeightsFile:
    """Read a file of weights; what its metadata lack is read from the files beside it.

    These are the YAML file `config`, or the one of the same name, and `tokenizer.json` for the symbols. Raises
    CheckpointError for a file that cannot be read or that lacks its configuration or symbols.
    """
    tensors, metadata = _read(path)
    section = _mapping(metadata.get("config")) or _yaml_section(config or path.with_suffix(".yaml"))
    if not section:
        raise CheckpointError(f"{path} has no configuration; give its YAML file by --yaml.")
    strings = _mapping(_mapping(metadata.get("userdata")).get("symmap")) or _tokenizer_strings(path)
    if not strings:
        raise CheckpointError(f"{path} has no symbol map; put the tokenizer.json that it was trained with beside it.")
    return WeightsFile(path, tensors, section, strings, _mapping(metadata.get("stats")))


def read_adapter_file(path: Path) -> WeightsFile:
    """Read a file of adapter weights and its section of the configuration. Raises CheckpointError."""
    tensors, metadata = _read(path)
    section = _mapping(metadata.get("config")) or _yaml_section(path.with_suffix(".yaml"), "loras")
    if not section:
        raise CheckpointError(f"{path} has no configuration: rank and alpha of the adapter are unknown.")
    return WeightsFile(path, tensors, section, {}, {})


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"{path} is no file of weights; its name ends in one of {', '.join(SUFFIXES)}.")
    try:
        return _read_safetensors(path) if path.suffix in _SAFETENSORS else _read_pickled(path)
    except (OSError, SafetensorError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} cannot be read ({reason}); download or export it again.") from error


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    with safe_open(path, framework="pt") as file:
        metadata = {name: json.loads(text) for name, text in (file.metadata() or {}).items() if text[:1] in '{["'}
        return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118


def _read_pickled(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    content = load_pickled(path)
    module = content.get("module") or content.get("lora") or content
    tensors = {name: tensor for name, tensor in module.items() if isinstance(tensor, Tensor)}
    return tensors, {name: value for name, value in content.items() if name not in ("module", "lora")}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _yaml_section(path: Path, section: str = "models") -> Mapping[str, Any]:
    """Return the first model of a YAML configuration, empty when there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = _mapping(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is no YAML file ({str(error).splitlines()[0]}).") from error
    models = content.get(section)
    return _mapping(models[0]) if isinstance(models, list) and models else {}


def _tokenizer_strings(path: Path) -> Mapping[str, int]:
    tokenizer = path.with_name("tokenizer.json")
    if not tokenizer.is_file():
        return {}
    content = json.loads(tokenizer.read_text(encoding="utf-8"))
    return _mapping(_mapping(_mapping(content).get("model")).get("vocab"))
