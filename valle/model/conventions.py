"""Conventions of a model: what differs between families of weights that share one layout of rows.

The defaults are those of this project. Imported weights were trained with others, and a model computes what it was
trained to compute only with its own; so they are part of its configuration.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Column = tuple[int, int]
"""Codebook, and the number of the table that embeds it within the first table of its role."""


class CodeSum(StrEnum):
    """Codebooks of a frame that are embedded and summed in a row that predicts codebook q."""

    ALL = "all"
    BELOW = "below"  # 0 .. q-1
    BELOW_NEAREST = "below-nearest"  # 0 .. q-2; codebook 0 where that is none
    NEAREST = "nearest"  # q-1 alone

    def codebooks(self, predicted: int, num_codebooks: int) -> Sequence[int]:
        """Return the codebooks that are summed, at least one."""
        return {
            CodeSum.ALL: range(num_codebooks),
            CodeSum.BELOW: range(max(1, predicted)),
            CodeSum.BELOW_NEAREST: range(max(1, predicted - 1)),
            CodeSum.NEAREST: range(max(0, predicted - 1), max(1, predicted)),
        }[self]


class SpeechSum(StrEnum):
    """Tables that embed speech which is transcribed."""

    PROMPT = "prompt"  # those of prompts, all codebooks
    TARGET = "target"  # those of the output; see `speech_columns`
    TARGET_WEIGHTED = "target-weighted"  # the same with falling weights; see `speech_columns`


class Conventions(BaseModel):
    """Conventions of a model's rows; the defaults are this project's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_sum: CodeSum = Field(default=CodeSum.ALL, description="Codebooks of a prompt that are summed.")
    target_sum: CodeSum = Field(default=CodeSum.BELOW, description="Lower codebooks of the output that are summed.")
    speech_sum: SpeechSum = Field(default=SpeechSum.PROMPT, description="Tables of speech that is transcribed.")
    positions: Literal["field", "row"] = Field(
        default="field", description="Whether positions restart with every field, or count over the row."
    )
    has_null_text: bool = Field(
        default=False, description="Whether absent text is `<bos> <eos>`, instead of no field at all."
    )
    has_begin: bool = Field(
        default=False, description="Whether digits begin with a 0 and transcripts with `<bos>`, which are given."
    )
    joins_marker: bool = Field(
        default=False, description="Whether a task marker follows the prompt without a separator."
    )
    full_nar_mask: bool = Field(
        default=True, description="Whether rows of NAR and NAR-len attend to later frames, as they should."
    )


OURS = Conventions()


def speech_columns(rule: SpeechSum, num_codebooks: int, next_table: int) -> list[Column]:
    """Return the codebooks and tables whose vectors are summed for a frame of speech that is transcribed.

    With K codebooks, TARGET is the AR table of codebook 0 and the NAR tables of codebooks 1 to K - 2. TARGET_WEIGHTED
    is the AR table of codebook 0 and, for l from 1 to K - 2, the NAR tables of codebooks below l: those near 0 count
    several times. Both are accidents that weights were trained with.
    """
    match rule:
        case SpeechSum.PROMPT:
            return [(codebook, codebook) for codebook in range(num_codebooks)]
        case SpeechSum.TARGET:
            return [(0, next_table), *((codebook, codebook) for codebook in range(1, num_codebooks - 1))]
        case SpeechSum.TARGET_WEIGHTED:
            below = [(codebook, codebook) for last in range(1, num_codebooks - 1) for codebook in range(last)]
            return [(0, next_table), *below]
