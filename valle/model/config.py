"""The numbers of a model. Those of the audio come from the codec, those of the text from the phoneme table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from valle.codec.base import CodecSpec
from warehouse.errors import ConfigurationError

UNKNOWN_LANGUAGE = "<unk>"


class ModelConfig(BaseModel):
    """Everything that decides the shapes of a model; saved with every checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_codebooks: int = Field(ge=1, description="Codebooks per frame of the codec.")
    codebook_size: int = Field(ge=2, description="Entries per codebook (N); stop is N, mask is N + 1.")
    frame_rate: float = Field(gt=0, description="Frames a second of the codec.")
    num_symbols: int = Field(ge=4, description="Entries of the phoneme table, special symbols included.")
    languages: tuple[str, ...] = Field(min_length=1, description="Languages by id; the first stands for unknown.")
    width: int = Field(ge=8, description="Size of a hidden state.")
    depth: int = Field(ge=1, description="Transformer layers.")
    heads: int = Field(ge=1, description="Attention heads.")
    feed_forward: int = Field(ge=8, description="Size of the hidden state inside the gated MLP.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout on attention and MLP outputs.")
    text_stride: float = Field(default=1.0, gt=0, description="Frames that a symbol lasts on average.")
    rope_base: float = Field(default=10_000.0, gt=1, description="Base of the rotary positions.")

    @property
    def stop(self) -> int:
        """The id that ends codebook 0."""
        return self.codebook_size

    @property
    def mask(self) -> int:
        """The id of a frame that is still to be filled in; never an output of a head."""
        return self.codebook_size + 1

    def language_id(self, language: str) -> int:
        """The id of an ISO 639-1 code; 0 for a language the model was not trained on."""
        return self.languages.index(language) if language in self.languages else 0


@dataclass(frozen=True, slots=True)
class Size:
    """Shape of a trunk."""

    width: int
    depth: int
    heads: int
    feed_forward: int


PRESETS: Mapping[str, Size] = MappingProxyType(
    {
        "nano": Size(width=64, depth=2, heads=2, feed_forward=128),
        "tiny": Size(width=192, depth=4, heads=4, feed_forward=512),
        "20m": Size(width=256, depth=12, heads=4, feed_forward=1024),
        "220m": Size(width=1024, depth=12, heads=16, feed_forward=4096),
    }
)
"""Sizes by name. `nano` is for tests, `tiny` for the demo; `20m` and `220m` are the original's `quarter` and `full`."""


def preset(
    name: str,
    spec: CodecSpec,
    *,
    num_symbols: int,
    languages: Sequence[str],
    text_stride: float = 1.0,
    dropout: float = 0.0,
) -> ModelConfig:
    """The configuration of a named size for a codec, a phoneme table and a set of languages.

    Raises ConfigurationError for an unknown name.
    """
    if name not in PRESETS:
        raise ConfigurationError(f"There is no model size {name!r}; choose one of {', '.join(PRESETS)}.")
    size = PRESETS[name]
    return ModelConfig(
        num_codebooks=spec.num_codebooks,
        codebook_size=spec.codebook_size,
        frame_rate=spec.frame_rate,
        num_symbols=num_symbols,
        languages=(UNKNOWN_LANGUAGE, *sorted(set(languages) - {UNKNOWN_LANGUAGE})),
        width=size.width,
        depth=size.depth,
        heads=size.heads,
        feed_forward=size.feed_forward,
        text_stride=text_stride,
        dropout=dropout,
    )
