"""A checkpoint as a folder that transformers loads: configuration, weights, tokenizer and a module that names ours."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from valle.checkpoints.checkpoint import CheckpointCard, card_of
from valle.checkpoints.saving import card_content, new_checkpoint, write_model
from valle.interchange.hub.tokenizer import write_tokenizer
from valle.tensors import write_tensors
from warehouse.errors import CheckpointError

CONFIG, WEIGHTS, MODULE = "config.json", "model.safetensors", "modeling_valle.py"
PREFIX = "model."
"""Start of the names of all weights: the network is the part `model` of the class of transformers."""
_MODULE_TEXT = '''"""VALL-E of the package valle: `pip install valle` provides the network."""

from valle.interchange.hub.modeling import ValleConfig, ValleForSpeech

__all__ = ["ValleConfig", "ValleForSpeech"]
'''


def write_hf_folder(card: CheckpointCard, weights: Mapping[str, Tensor], out: Path, *, model_card: str) -> None:
    """Write a checkpoint as the new folder `out`. Raises CheckpointError when it exists or cannot be written."""
    if out.exists():
        raise CheckpointError(f"{out} exists; give a name that does not.")
    config = {
        "model_type": "valle",
        "architectures": ["ValleForSpeech"],
        "auto_map": {"AutoConfig": "modeling_valle.ValleConfig", "AutoModel": "modeling_valle.ValleForSpeech"},
        "torch_dtype": str(next(iter(weights.values())).dtype).removeprefix("torch."),
        "valle": card_content(card) | {"files": {}},
    }
    with new_checkpoint(out) as temporary:
        (temporary / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        named = {f"{PREFIX}{name}": tensor for name, tensor in weights.items()}
        write_tensors(temporary / WEIGHTS, named, {"format": "pt"})
        (temporary / MODULE).write_text(_MODULE_TEXT, encoding="utf-8")
        (temporary / "README.md").write_text(model_card, encoding="utf-8")
        write_tokenizer(card.phoneme_table, temporary)


def read_hf_folder(folder: Path) -> tuple[CheckpointCard, dict[str, Tensor]]:
    """Read the card and the weights of such a folder. Raises CheckpointError for any other folder."""
    try:
        content: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["valle"]
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is no checkpoint of this project for transformers ({error}).") from error
    return card_of(content, folder), {name.removeprefix(PREFIX): tensor for name, tensor in weights.items()}


def import_hf_folder(folder: Path, checkpoint: Path) -> None:
    """Write the checkpoint of a folder to the new directory `checkpoint`. Raises CheckpointError."""
    card, weights = read_hf_folder(folder)
    with new_checkpoint(checkpoint) as temporary:
        write_model(temporary, card, weights)
