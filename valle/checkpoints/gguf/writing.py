"""Write a checkpoint as one GGUF file: trunk as tensors of llama.cpp; card, tables and heads as metadata.

llama.cpp refuses a file with a tensor that its architecture lacks, so what is not the trunk is metadata.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from valle.checkpoints.checkpoint import CheckpointCard
from valle.checkpoints.gguf.layout import (
    ARCHITECTURE,
    CARD,
    TABLES,
    WeightType,
    export_problem,
    is_trunk,
    position_steps,
    trunk_tensors,
)
from valle.checkpoints.saving import card_content
from warehouse.errors import CheckpointError, ConfigurationError
from warehouse.files import atomic_write

# Slots that llama.cpp reports as the length it was trained for; nothing depends on it.
_CONTEXT = 8192


def write_gguf(path: Path, card: CheckpointCard, weights: Mapping[str, Tensor], weight_type: WeightType) -> None:
    """Write card and weights as the file `path`.

    Raises ConfigurationError without the package `gguf` and for a model that has no counterpart in llama.cpp,
    CheckpointError when the file cannot be written.
    """
    if (problem := export_problem(card.model, weight_type)) is not None:
        raise ConfigurationError(problem)
    try:
        import gguf
    except ImportError as error:
        raise ConfigurationError("GGUF files need the package gguf: pip install 'valle[llama]'.") from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            writer = gguf.GGUFWriter(temporary, ARCHITECTURE)
            _add_metadata(writer, card, weights, weight_type)
            _add_tensors(writer, card, weights, gguf.GGMLQuantizationType[weight_type.upper()])
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written ({error.strerror or error}); free space or choose another."
        ) from error


def _add_metadata(writer: Any, card: CheckpointCard, weights: Mapping[str, Tensor], weight_type: WeightType) -> None:
    import gguf

    config = card.model
    size = config.width // config.heads
    writer.add_name(card.checkpoint_id)
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.depth)
    writer.add_feed_forward_length(config.feed_forward)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(config.rope_base)
    # All pairs are rotated by the second of the four positions, which counts steps of a frame.
    writer.add_rope_dimension_sections([0, size // 2, 0, 0])
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(float(position_steps(config)))
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(1)
    writer.add_string(CARD, json.dumps(card_content(card) | {"files": {}}, ensure_ascii=False))
    rest = {name: _stored(tensor, weight_type) for name, tensor in weights.items() if not is_trunk(name)}
    # Strings of GGUF are UTF-8, so that programs which copy metadata keep this one.
    writer.add_string(TABLES, base64.b64encode(save(rest)).decode())


def _stored(tensor: Tensor, weight_type: WeightType) -> Tensor:
    return (tensor.float() if weight_type == "f32" else tensor.half()).contiguous()


def _add_tensors(writer: Any, card: CheckpointCard, weights: Mapping[str, Tensor], kind: Any) -> None:
    from gguf.quants import quantize

    arrays = {name: tensor.float().numpy() for name, tensor in weights.items() if is_trunk(name)}
    for name, array in trunk_tensors(arrays, card.model):
        if array.ndim == 2 and name != "token_embd.weight":
            writer.add_tensor(name, quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
