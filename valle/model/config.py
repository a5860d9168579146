"""Model configuration: sizes, and the shapes that follow from codec, phoneme table and languages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from valle.codec.base import CodecSpec
from valle.model.layout import Head, Layout, Mode, Table
from valle.model.placement import PositionStride
from warehouse.errors import unknown_name

UNKNOWN_LANGUAGE = "<unk>"
NUM_DIGITS = 10
NUM_BYTES = 256
END_SYMBOL = 2
"""`<eos>` of the phoneme table, in every version of it."""


class ModelConfig(BaseModel):
    """Everything that determines the shapes of a model; saved with every checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_codebooks: int = Field(ge=1, description="Codebooks per frame of the codec.")
    codebook_size: int = Field(ge=2, description="Entries per codebook (N); stop is N, mask N + 1.")
    frame_rate: float = Field(gt=0, description="Frames a second of the codec.")
    num_symbols: int = Field(ge=4, description="Entries of the phoneme table, special symbols included.")
    languages: tuple[str, ...] = Field(min_length=1, description="Languages by id; the first is the unknown one.")
    width: int = Field(ge=8, description="Size of a hidden state.")
    depth: int = Field(ge=1, description="Transformer layers.")
    heads: int = Field(ge=1, description="Attention heads.")
    feed_forward: int = Field(ge=8, description="Size of the hidden state inside the gated MLP.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout on attention and MLP outputs.")
    text_stride: float = Field(default=1.0, gt=0, description="Frames that a symbol lasts on average.")
    group: int = Field(default=1, ge=1, le=8, description="Frames of codebook 0 that the AR predicts in one step.")
    rope_base: float = Field(default=10_000.0, gt=1, description="Base of the rotary positions.")

    @property
    def stop(self) -> int:
        """Return the id that ends codebook 0."""
        return self.codebook_size

    @property
    def position_stride(self) -> PositionStride:
        """Return the frames by which positions advance."""
        return PositionStride(self.text_stride, self.group)

    def first_table(self, table: Table) -> int:
        """Return which code table embeds the first codebook of a field.

        The tables of the output are: one per codebook below another, one of NAR-len, one per frame of an AR group.
        """
        return {
            Table.PROMPT_CODES: 0,
            Table.LOWER_CODES: 0,
            Table.MASKED_CODES: self.num_codebooks - 1,
            Table.NEXT_CODES: self.num_codebooks,
        }[table]

    @property
    def head_sizes(self) -> Mapping[str, tuple[int, ...]]:
        """Return the number of outputs of every head. The stop, where a head has its own, is the last output.

        Codes have a head per codebook, and the AR one more for every further frame of a group.
        """
        size = self.codebook_size
        return {
            Head.CODES: (size + 1, *[size] * (self.num_codebooks - 1), *[size + 1] * (self.group - 1)),
            Head.MASKED: (size,),
            Head.DIGITS: (NUM_DIGITS + 1,),
            Head.SYMBOLS: (self.num_symbols,),
            Head.BYTES: (NUM_BYTES + 1,),
        }

    def group_of(self, layout: Layout) -> int:
        """Return the number of predictions per slot of the output of a layout."""
        return self.group if layout.mode is Mode.AR else 1

    @property
    def frame_heads(self) -> tuple[int, ...]:
        """Return the head of each frame of a group: that of codebook 0, then those after the codebooks."""
        return (0, *range(self.num_codebooks, self.num_codebooks + self.group - 1))

    def stop_of(self, head: Head) -> int:
        """Return the id that ends the output of a head."""
        return {Head.DIGITS: NUM_DIGITS, Head.SYMBOLS: END_SYMBOL, Head.BYTES: NUM_BYTES}.get(head, self.stop)

    def mask_of(self, head: Head) -> int:
        """Return the id of a hidden element: one after the stop, and never an output of a head."""
        return self.stop_of(head) + 1

    def language_id(self, language: str) -> int:
        """Return the id of an ISO 639-1 code; 0 for a language the model was not trained on."""
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
        "tiny": Size(width=128, depth=4, heads=4, feed_forward=344),
        "7m": Size(width=192, depth=4, heads=4, feed_forward=512),
        "20m": Size(width=256, depth=12, heads=4, feed_forward=1024),
        "220m": Size(width=1024, depth=12, heads=16, feed_forward=4096),
    }
)
"""Sizes by name. `nano` is for tests, `tiny` for the demo, `7m` for a small vocabulary; `20m` and `220m` have the
shapes of the published quarter and full models."""


def preset(
    name: str,
    spec: CodecSpec,
    *,
    num_symbols: int,
    languages: Sequence[str],
    text_stride: float = 1.0,
    group: int = 1,
    dropout: float = 0.0,
) -> ModelConfig:
    """Build the configuration of a named size for a codec, a phoneme table and a set of languages.

    Raises ConfigurationError for an unknown name.
    """
    if name not in PRESETS:
        raise unknown_name("model size", name, PRESETS)
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
        group=group,
        dropout=dropout,
    )
