"""Adapter files of e-c-k-e-r/vall-e as adapters of this project, for `valle speak --lora`.

There queries, keys and values have matrices of their own, as the two halves of the MLP; here they are one layer each.
The matrices of a joined layer are side by side, and zeros fill those of layers that join fewer.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from valle.checkpoints.adapters import AdapterCard, hash_weights, write_adapter
from valle.checkpoints.checkpoint import read_card, read_weights
from valle.interchange.weights.weights_file import WeightsFile, read_adapter_file
from valle.model.adapters.options import LoraOptions
from valle.model.config import ModelConfig
from warehouse.errors import CheckpointError
from warehouse.files import atomic_write

_BASE = "model.layers"
# By our layer, those that are joined in it.
_JOINED = {
    "attention.inputs": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.output": ("self_attn.o_proj",),
    "mlp.inputs": ("mlp.gate_proj", "mlp.up_proj"),
    "mlp.output": ("mlp.down_proj",),
}


def write_imported_adapter(path: Path, checkpoint: Path, out: Path) -> LoraOptions:
    """Write an adapter file of theirs as an adapter of an imported checkpoint, and return its options.

    Raises CheckpointError for the parametrized form, which is no product of low rank, for another model, and when `out`
    exists or cannot be written.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists; give a name that does not.")
    file, card = read_adapter_file(path), read_card(checkpoint)
    weights = read_weights(checkpoint)
    options, tensors = convert_adapter(file, card.model, weights)
    adapter = AdapterCard(
        lora=options,
        base=checkpoint,
        base_hash=hash_weights(weights),
        run_id=path.stem.replace(".", "-"),
        step=card.step,
    )
    try:
        with atomic_write(out) as temporary:
            write_adapter(temporary, adapter, tensors)
    except OSError as error:
        raise CheckpointError(f"{out} cannot be written ({error.strerror}); free space or choose another.") from error
    return options


def convert_adapter(
    file: WeightsFile, config: ModelConfig, weights: Mapping[str, Tensor]
) -> tuple[LoraOptions, dict[str, Tensor]]:
    """Return options and tensors of the adapter for our weights. Errors as `write_imported_adapter`."""
    firsts = {name.removesuffix(".lora_A") for name in file.tensors if name.endswith(".lora_A")}
    if not firsts or any(".parametrizations." in name for name in firsts):
        raise CheckpointError(
            f"{file.path} is no adapter of the linear form; add it to the weights: `valle import weights --lora`."
        )
    rank = int(file.config.get("rank") or len(file.tensors[f"{min(firsts)}.lora_A"]))
    adapted = {layer: any(name.endswith(part) for name in firsts for part in _JOINED[layer]) for layer in _JOINED}
    width = rank * max(len(parts) for layer, parts in _JOINED.items() if adapted[layer])
    scale = float(file.config.get("alpha", rank)) / rank
    targets = tuple(f"trunk.blocks.*.{layer}" for layer in _JOINED if adapted[layer])
    tensors: dict[str, Tensor] = {}
    used: set[str] = set()
    for number in range(config.depth):
        for layer, parts in _JOINED.items():
            if adapted[layer]:
                name = f"trunk.blocks.{number}.{layer}"
                names = [f"{_BASE}.{number}.{part}" for part in parts]
                down, up = _joined(file, names, weights[f"{name}.weight"], rank, width, config)
                tensors[f"{name}.lora_down"], tensors[f"{name}.lora_up"] = down, up
                used.update(names)
    if unknown := sorted(firsts - used):
        raise CheckpointError(f"{file.path} adapts {unknown[0]}, which these weights lack.")
    return LoraOptions(rank=width, alpha=scale * width, targets=targets), tensors


def _joined(
    file: WeightsFile, names: list[str], weight: Tensor, rank: int, width: int, config: ModelConfig
) -> tuple[Tensor, Tensor]:
    """Return the matrices [width, inputs] and [outputs, width] of a layer; what the file lacks adds nothing."""
    size = config.width // config.heads
    kv_rows = config.num_kv_heads * size
    rows = {1: [len(weight)], 2: [len(weight) // 2] * 2, 3: [config.width, kv_rows, kv_rows]}[len(names)]
    down, up = torch.zeros(width, weight.shape[1]), torch.zeros(len(weight), width)
    start = 0
    for index, (name, outputs) in enumerate(zip(names, rows, strict=True)):
        first, second = file.tensors.get(f"{name}.lora_A"), file.tensors.get(f"{name}.lora_B")
        if first is not None:
            if second is None or first.shape != (rank, weight.shape[1]) or second.shape != (outputs, rank):
                raise CheckpointError(
                    f"{file.path} does not fit these weights: {name} has another shape or no partner."
                )
            place = slice(index * rank, (index + 1) * rank)
            down[place], up[start : start + outputs, place] = first.float(), second.float()
        start += outputs
    return down, up
