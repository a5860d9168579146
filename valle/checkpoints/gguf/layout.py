"""Names of a trunk in a GGUF file, positions as integers, and what llama.cpp has no counterpart for.

The trunk has the architecture `paddleocr`: that of llama with four positions a slot. The first orders the slots, the
second rotates queries and keys; `llama` itself has one position for both, which may neither restart nor jump.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from valle.model.config import ModelConfig

Floats = NDArray[np.floating]
WeightType = Literal["f32", "f16", "q8_0", "q4_0"]
"""Number type of the matrices of the trunk: floats, or blocks of 32 integers of 8 or 4 bits with a scale each."""
BLOCK_TYPES = ("q8_0", "q4_0")
SUFFIX = ".gguf"
ARCHITECTURE = "paddleocr"
CARD, TABLES = "valle.card", "valle.tables"
"""Metadata: the card as JSON, and tables and heads as a safetensors file in base64."""
BLOCK = 32
# A stride with more decimals is rounded: by less than 1/1000 of a frame after 1000 symbols.
_FINEST_STEP = 1000
A_MATRIX = "blk.0.attn_q.weight"
"""A tensor of every file, whose type is that of all matrices."""
_TRUNK = "trunk."
_NORMS = {"attention_norm": "attn_norm", "mlp_norm": "ffn_norm"}
_JOINED = {"attention.inputs": ("attn_q", "attn_k", "attn_v"), "mlp.inputs": ("ffn_gate", "ffn_up")}
_SINGLE = {"attention.output": "attn_output", "mlp.output": "ffn_down"}


def export_problem(config: "ModelConfig", weight_type: WeightType) -> str | None:
    """Return why a model cannot be a GGUF file, in one sentence; None when it can."""
    if config.trunk != "llama":
        return f"llama.cpp has no counterpart of the trunk {config.trunk}; only checkpoints with the trunk llama."
    if config.activation != "silu":
        return (
            f"The MLPs of this model have the function {config.activation}, and those of llama.cpp have silu; "
            "export it as sft or hf."
        )
    if config.max_context:
        return "llama.cpp has no mask that keeps the condition beside a bounded context; export it as sft or hf."
    if weight_type in BLOCK_TYPES and (config.width % BLOCK or config.feed_forward % BLOCK):
        return f"{weight_type} has blocks of {BLOCK} weights, which do not divide the rows; export it as f16."
    return None


def position_steps(config: "ModelConfig") -> int:
    """Return the integers that a frame is divided into: the positions of all symbols and frames are whole steps."""
    return Fraction(str(config.text_stride)).limit_denominator(_FINEST_STEP).denominator


def trunk_tensors(weights: Mapping[str, Floats], config: "ModelConfig") -> Iterator[tuple[str, Floats]]:
    """Yield the tensors of the trunk by their names in the file.

    Heads of queries and keys are rotated by halves in both programs, so no row moves.
    """
    size = config.width // config.heads
    for layer in range(config.depth):
        ours, theirs = f"{_TRUNK}blocks.{layer}", f"blk.{layer}"
        for name, norm in _NORMS.items():
            yield f"{theirs}.{norm}.weight", weights[f"{ours}.{name}.weight"]
        ends = np.cumsum([config.heads * size, config.num_kv_heads * size])
        parts = {
            "attention.inputs": np.split(weights[f"{ours}.attention.inputs.weight"], ends),
            "mlp.inputs": np.split(weights[f"{ours}.mlp.inputs.weight"], 2),
        }
        for joined, names in _JOINED.items():
            for name, part in zip(names, parts[joined], strict=True):
                yield f"{theirs}.{name}.weight", part
                if joined == "attention.inputs":  # the architecture has biases here
                    yield f"{theirs}.{name}.bias", np.zeros(len(part), dtype=np.float32)
        for name, single in _SINGLE.items():
            yield f"{theirs}.{single}.weight", weights[f"{ours}.{name}.weight"]
    yield "output_norm.weight", weights[f"{_TRUNK}norm.weight"]
    # The vectors come from our tables and the logits from our heads: one empty token is enough.
    yield "token_embd.weight", np.zeros((1, config.width), dtype=np.float32)


def trunk_weights(tensors: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the weights of the trunk by our names, from the tensors of a file; the inverse of `trunk_tensors`.

    Raises KeyError when one is missing.
    """
    found: dict[str, Floats] = {f"{_TRUNK}norm.weight": tensors["output_norm.weight"]}
    depth = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blk."))
    for layer in range(depth):
        ours, theirs = f"{_TRUNK}blocks.{layer}", f"blk.{layer}"
        for name, single in (_NORMS | _SINGLE).items():
            found[f"{ours}.{name}.weight"] = tensors[f"{theirs}.{single}.weight"]
        for joined, names in _JOINED.items():
            found[f"{ours}.{joined}.weight"] = np.concatenate([tensors[f"{theirs}.{name}.weight"] for name in names])
    return found


def is_trunk(name: str) -> bool:
    """Return whether one of our weights belongs to the trunk."""
    return name.startswith(_TRUNK)
