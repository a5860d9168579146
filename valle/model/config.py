"""Model configuration: sizes, and the shapes that follow from codec, phoneme table and languages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from valle.codec.base import CodecSpec
from valle.model.architecture import DEFAULT_ARCHITECTURE, RECURRENT, Architecture
from valle.model.conventions import OURS, Column, Conventions, SpeechSum, speech_columns
from valle.model.layout import SPEECH, CodebookRange, Head, Layout, LayoutField, MaskKind, Mode, PositionStride, Table
from warehouse.errors import ConfigurationError, unknown_name

UNKNOWN_LANGUAGE = "<unk>"
NUM_DIGITS = 10
NUM_BYTES = 256
BEGIN_SYMBOL, END_SYMBOL = 1, 2
"""`<bos>` and `<eos>` of the phoneme table, in every version of it."""


class ModelConfig(Architecture):
    """Everything that determines the shapes of a model; saved with every checkpoint."""

    num_codebooks: int = Field(ge=1, description="Codebooks per frame of the codec.")
    codebook_size: int = Field(ge=2, description="Entries per codebook (N); stop is N, mask N + 1.")
    frame_rate: float = Field(gt=0, description="Frames a second of the codec.")
    num_symbols: int = Field(ge=4, description="Entries of the phoneme table, special symbols included.")
    languages: tuple[str, ...] = Field(
        min_length=1, description="Languages by id; the first also takes the place of unknown ones."
    )
    width: int = Field(ge=8, description="Size of a hidden state.")
    depth: int = Field(ge=1, description="Transformer layers.")
    heads: int = Field(ge=1, description="Attention heads.")
    feed_forward: int = Field(ge=8, description="Size of the hidden state inside the gated MLP.")
    text_stride: float = Field(default=1.0, gt=0, description="Frames that a symbol lasts on average.")
    rope_base: float = Field(default=10_000.0, gt=1, description="Base of the rotary positions.")
    activation: Literal["silu", "gelu"] = Field(default="silu", description="Function of the gate of the MLP.")
    symbol_frames: float | None = Field(
        default=None, gt=0, description="Frames that a symbol lasts on average; none for `text_stride`."
    )
    conventions: Conventions = Field(default=OURS, description="What differs between families of weights.")

    @model_validator(mode="after")
    def _check_architecture(self) -> Self:
        if (problem := self.problem) is not None:
            raise ValueError(problem)
        return self

    @property
    def num_kv_heads(self) -> int:
        """Return the heads of keys and values."""
        return self.kv_heads or self.heads

    @property
    def stop(self) -> int:
        """Return the id that ends codebook 0."""
        return self.codebook_size

    @property
    def position_stride(self) -> PositionStride:
        """Return the frames by which positions advance, and the slots that every row has beside its elements."""
        conventions = self.conventions
        return PositionStride(
            self.text_stride,
            self.group,
            null_text=2 if conventions.has_null_text else 0,
            begin=int(conventions.has_begin),
            joins_marker=conventions.joins_marker,
            restarts=conventions.positions == "field",
        )

    @property
    def average_symbol(self) -> float:
        """Return the frames that a symbol lasts on average."""
        return self.text_stride if self.symbol_frames is None else self.symbol_frames

    def mask_of_rows(self, layout: Layout) -> MaskKind:
        """Return the attention mask of rows of a layout."""
        return layout.mask if self.conventions.full_nar_mask else MaskKind.CAUSAL

    def columns(self, field: LayoutField, codebook: int) -> list[Column]:
        """Return the codebooks of a field of codes that are summed, and their tables, in a row that predicts one.

        The codebooks of grouped codes are the frames of the group.
        """
        conventions, first = self.conventions, self.first_table(field.table)
        if field is SPEECH:
            return speech_columns(conventions.speech_sum, self.num_codebooks, self.first_table(Table.NEXT_CODES))
        match field.codebooks:
            case CodebookRange.GROUP | CodebookRange.FIRST if self.whole_frames:
                chosen: Sequence[int] = range(self.num_codebooks)
            case CodebookRange.GROUP:
                chosen = range(self.group)
            case CodebookRange.FIRST:
                chosen = range(1)
            case CodebookRange.BELOW:
                chosen = conventions.target_sum.codebooks(codebook, self.num_codebooks)
            case _:
                chosen = conventions.prompt_sum.codebooks(codebook, self.num_codebooks)
        return [(number, first + number) for number in chosen]

    def is_prompt(self, field: LayoutField) -> bool:
        """Return whether the tables of prompts embed a field of codes, and not those of the output."""
        if field is SPEECH:
            return self.conventions.speech_sum is SpeechSum.PROMPT
        return field.table is Table.PROMPT_CODES

    def begin_of(self, layout: Layout) -> tuple[int, ...]:
        """Return the ids that are given before the output of a layout; none for most models."""
        if not self.position_stride.num_begin(layout):
            return ()
        return (BEGIN_SYMBOL,) if layout.head is Head.SYMBOLS else (0,)

    def first_table(self, table: Table) -> int:
        """Return which code table embeds the first codebook of a field.

        The tables of the output are: one per codebook below another, one of NAR-len, one per frame of an AR group. In
        whole frames they are: one per codebook of NAR-len, one per codebook of the AR.
        """
        if self.whole_frames:
            return self.num_codebooks if table is Table.NEXT_CODES else 0
        return {
            Table.PROMPT_CODES: 0,
            Table.LOWER_CODES: 0,
            Table.MASKED_CODES: self.num_codebooks - 1,
            Table.NEXT_CODES: self.num_codebooks,
        }[table]

    @property
    def target_tables(self) -> tuple[int, ...]:
        """Return the codebook that each table of the output embeds; `first_table` has their order."""
        codebooks = tuple(range(self.num_codebooks))
        return codebooks * 2 if self.whole_frames else (*codebooks[:-1], 0, *(0,) * self.group)

    @property
    def head_sizes(self) -> Mapping[str, tuple[int, ...]]:
        """Return the number of outputs of every head. The stop, where a head has its own, is the last output.

        Codes have a head per codebook, and the AR one more for every further frame of a group. In whole frames every
        head has a stop, and that of codebook 0 alone learns it.
        """
        size, per_pass = self.codebook_size, self.codebooks_per_pass
        if self.whole_frames:
            codes = (size + 1,) * self.num_codebooks
        else:
            codes = (size + 1, *[size] * (self.num_codebooks - 1), *[size + 1] * (self.group - 1))
        return {
            Head.CODES: codes,
            Head.MASKED: (size,) * per_pass,
            Head.DIGITS: (NUM_DIGITS + 1,),
            Head.SYMBOLS: (self.num_symbols,),
            Head.BYTES: (NUM_BYTES + 1,),
        }

    @property
    def codebooks_per_pass(self) -> int:
        """Return how many codebooks of a frame a pass of AR or NAR-len predicts."""
        return self.num_codebooks if self.whole_frames else 1

    def predictions_of(self, layout: Layout) -> int:
        """Return the number of predictions per slot of the output of a layout: frames of a group, or codebooks."""
        if layout.output.codebooks is None:
            return 1
        return self.codebooks_per_pass * (self.group if layout.mode is Mode.AR else 1)

    @property
    def slot_heads(self) -> tuple[int, ...]:
        """Return the head of each prediction of a slot.

        For the frames of a group it is that of codebook 0, then those after the codebooks; for a whole frame that of
        each codebook.
        """
        if self.whole_frames:
            return tuple(range(self.num_codebooks))
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


def find_size(name: str) -> Size:
    """Return a size by its name. Raises ConfigurationError for an unknown one."""
    if name not in PRESETS:
        raise unknown_name("model size", name, PRESETS)
    return PRESETS[name]


def size_of(config: ModelConfig) -> Size:
    """Return the size of a configuration."""
    return Size(config.width, config.depth, config.heads, config.feed_forward)


def preset(
    name: str,
    spec: CodecSpec,
    *,
    num_symbols: int,
    languages: Sequence[str],
    text_stride: float = 1.0,
    depth: int = 0,
    feed_forward: int = 0,
    architecture: Architecture = DEFAULT_ARCHITECTURE,
) -> ModelConfig:
    """Build the configuration of a named size for a codec, a phoneme table and a set of languages.

    `depth` and `feed_forward` replace those of the size, unless they are 0. `architecture` may have other fields, which
    are left out.

    Raises ConfigurationError for an unknown name, and for options that exclude each other.
    """
    size = find_size(name)
    kv_heads, trunk = architecture.kv_heads, architecture.trunk
    if kv_heads and (size.heads % kv_heads or trunk in RECURRENT):
        raise ConfigurationError(
            f"{kv_heads} heads of keys and values do not divide the {size.heads} of {name}, or {trunk} has none; "
            "choose another kv_heads."
        )
    if architecture.problem is not None:
        raise ConfigurationError(architecture.problem)
    chosen: dict[str, Any] = {field: getattr(architecture, field) for field in Architecture.model_fields}
    return ModelConfig(
        num_codebooks=spec.num_codebooks,
        codebook_size=spec.codebook_size,
        frame_rate=spec.frame_rate,
        num_symbols=num_symbols,
        languages=(UNKNOWN_LANGUAGE, *sorted(set(languages) - {UNKNOWN_LANGUAGE})),
        width=size.width,
        depth=depth or size.depth,
        heads=size.heads,
        feed_forward=feed_forward or size.feed_forward,
        text_stride=text_stride,
        **chosen,
    )
