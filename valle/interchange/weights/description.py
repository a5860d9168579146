"""The configuration of our network that computes what imported weights were trained to compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from torch import Tensor

from valle.model.config import ModelConfig
from valle.model.conventions import CodeSum, Conventions, SpeechSum
from warehouse.errors import CheckpointError, ConfigurationError

if TYPE_CHECKING:
    from valle.codec.base import CodecSpec
    from valle.interchange.weights.weights_file import WeightsFile

LANGUAGES = ("en", "ja", "de", "fr", "zh", "ko")
"""Languages by id."""
SYMBOLS_PER_SECOND = 13.0
"""Pieces of phonemes in a second of speech, on average of the clips of seven speakers; it bounds durations only."""
_WIDTHS_AND_HEADS = {"quarter": 4, "half": 8, "full": 16, "extended": 16, "double": 16}
_HEAD_SIZE = 64


class Era(StrEnum):
    """Codebooks that were summed for codebooks 2 to 7 in training; the file does not record it."""

    AUTO = "auto"
    UNTIL_2025_03 = "until-2025-03"  # one less; the published weights
    SINCE_2025_03 = "since-2025-03"


def parse_era(name: str) -> Era:
    """Return an era by name. Raises ConfigurationError for an unknown one."""
    if name not in list(Era):
        raise ConfigurationError(f"There is no era {name!r}; choose one of {', '.join(Era)}.")
    return Era(name)


def describe(file: WeightsFile, codec: CodecSpec, era: Era) -> ModelConfig:
    """Build the configuration of a file of weights. Raises CheckpointError for weights that we cannot compute."""
    _refuse_unsupported(file)
    tensors = file.tensors
    num_codebooks = len(_numbers(tensors, "proms_emb.embeddings"))
    codebook_size, width = _shape(file, "proms_emb.embeddings.0.weight")
    if (num_codebooks, codebook_size) != (codec.num_codebooks, codec.codebook_size):
        raise CheckpointError(
            f"{file.path} has {num_codebooks} codebooks of {codebook_size} entries, {codec.name} has "
            f"{codec.num_codebooks} of {codec.codebook_size}; give the codec it was trained on by --codec."
        )
    return ModelConfig(
        num_codebooks=num_codebooks,
        codebook_size=codebook_size,
        frame_rate=codec.frame_rate,
        num_symbols=_shape(file, "text_emb.weight")[0],
        languages=_languages(_shape(file, "langs_emb.weight")[0]),
        width=width,
        depth=len(_numbers(tensors, "model.layers")),
        heads=_num_heads(file.config.get("size"), width),
        feed_forward=_shape(file, "model.layers.0.mlp.gate_proj.weight")[0],
        activation="gelu",
        symbol_frames=round(codec.frame_rate / SYMBOLS_PER_SECOND, 2),
        conventions=_conventions(_experimental(file), era),
    )


def fit_codec(file: WeightsFile, codec: CodecSpec) -> CodecSpec:
    """Return a codec with the codebooks of a file of weights, whose logits need no more of it than their number."""
    num_codebooks = len(_numbers(file.tensors, "proms_emb.embeddings"))
    return replace(codec, num_codebooks=num_codebooks, codebook_size=_shape(file, "proms_emb.embeddings.0.weight")[0])


def has_sums(file: WeightsFile) -> bool:
    """Return whether lower codebooks are summed at all, so that the era matters."""
    return bool(_experimental(file).get("audio_embedding_sums", False))


def _experimental(file: WeightsFile) -> Mapping[str, Any]:
    return file.config.get("experimental") or {}


def _refuse_unsupported(file: WeightsFile) -> None:
    config, experimental = file.config, _experimental(file)
    version = int(config.get("version", 5))
    problems = {
        f"layout version {version} (5 and 6 are read)": version not in (5, 6),
        f"a trunk of type {config.get('arch_type')}": config.get("arch_type", "llama") != "llama",
        "one output head for everything": not experimental.get("split_classifiers", False),
        "several predicted frames in a step": experimental.get("causal_size", 1) != 1,
        "experts": config.get("experts", 1) != 1,
        "a tone in every row": "tone" in config.get("capabilities", ()),
        "no layers of a transformer": "model.layers.0.self_attn.q_proj.weight" not in file.tensors,
    }
    if found := [problem for problem, applies in problems.items() if applies]:
        raise CheckpointError(f"{file.path} has {' and '.join(found)}; such weights cannot be imported.")


def _conventions(experimental: Mapping[str, Any], era: Era) -> Conventions:
    """Return the conventions of weights of an era; AUTO is that of the published weights."""
    sums = experimental.get("audio_embedding_sums", False)
    is_late = era is Era.SINCE_2025_03
    summed = CodeSum.BELOW if is_late else CodeSum.BELOW_NEAREST
    return Conventions(
        prompt_sum=summed if sums in (True, "prom") else CodeSum.NEAREST,
        target_sum=summed if sums in (True, "resp") else CodeSum.NEAREST,
        speech_sum=SpeechSum.TARGET if is_late else SpeechSum.TARGET_WEIGHTED,
        positions="row" if experimental.get("unified_position_ids", True) else "field",
        has_null_text=True,
        has_begin=True,
        joins_marker=True,
        full_nar_mask=bool(experimental.get("noncausal_masks", False)),
    )


def _num_heads(size: Any, width: int) -> int:
    if isinstance(size, Mapping) and "heads" in size:
        return int(size["heads"])
    return _WIDTHS_AND_HEADS.get(str(size), max(1, width // _HEAD_SIZE))


def _languages(count: int) -> tuple[str, ...]:
    known = LANGUAGES[:count]
    return (*known, *(f"<{number}>" for number in range(len(known), count)))


def _numbers(tensors: Mapping[str, Tensor], prefix: str) -> set[int]:
    """Return the numbers that follow a prefix in names of tensors."""
    rests = (name.removeprefix(f"{prefix}.") for name in tensors if name.startswith(f"{prefix}."))
    return {int(rest.split(".")[0]) for rest in rests}


def _shape(file: WeightsFile, name: str) -> tuple[int, ...]:
    if name not in file.tensors:
        raise CheckpointError(f"{file.path} lacks {name}; it is no file of weights of this family.")
    return tuple(file.tensors[name].shape)
