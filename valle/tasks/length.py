"""Length prediction: the number of frames that a text takes, which masked decoding needs before it begins."""

import dataclasses

import numpy as np
from pydantic import BaseModel, Field

from valle.codec.base import Codes
from valle.model.layout import CODEBOOK, DIGITS, LANGUAGE, PROMPT, TEXT, Head, Ints, Layout, Mode
from valle.model.row import Elements, Row
from valle.tasks.base import (
    EpochRows,
    ReadCodes,
    RowDraws,
    TakesEveryRow,
    TaskItems,
    condition_lengths,
    prompt_field,
    text_fields,
)

LENGTH_DIGITS = 5
"""Digits of a length that is predicted at once; the limit of one that is predicted digit by digit."""


class LengthOptions(BaseModel):
    """Option of the training mix."""

    length_ratio: float = Field(
        default=0.02, ge=0, le=1, description="Ratio of rows that learn how long a text takes, which NAR-len needs."
    )


class LengthTask(TakesEveryRow):
    """Prediction of the decimal digits of a length in frames: one by one, or all five at once."""

    name = "len"
    _FIELDS = (TEXT, LANGUAGE, CODEBOOK, PROMPT, DIGITS)
    digit_by_digit = Layout(name, Mode.TOKENS, _FIELDS, Head.DIGITS)
    at_once = Layout(name, Mode.NAR_LEN, _FIELDS, Head.DIGITS)
    layouts = (digit_by_digit, at_once)

    def row(self, symbol_ids: Ints, language_id: int, prompt: Codes | None, *, at_once: bool) -> Row:
        """Make a row for decoding: without digits, or with all of them hidden when they are predicted at once."""
        fields: dict[str, Elements] = {"text": symbol_ids, "language": np.array([language_id])}
        if prompt is not None:
            fields["prompt"] = prompt
        if not at_once:
            return Row(0, fields)
        hidden = np.ones(LENGTH_DIGITS, dtype=bool)
        return Row(0, fields | {"digits": np.zeros(LENGTH_DIGITS, dtype=np.int64)}, hidden)

    def ratio(self, options: LengthOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.length_ratio

    def loss_name(self, layout: Layout) -> str:
        """Return `len`, for both layouts."""
        return self.name

    def specialize(
        self, rows: EpochRows, draws: RowDraws, items: TaskItems, options: LengthOptions
    ) -> tuple[EpochRows, Ints]:
        """Choose a layout for each row; a length needs its text, and no digit is given before the others."""
        specialized = dataclasses.replace(
            rows,
            codebook=np.zeros_like(rows.codebook),
            has_text=np.ones_like(rows.has_text),
            mask_ratio=np.ones_like(rows.mask_ratio),
        )
        # Half of the rows each: decoding digit by digit is more accurate, all at once is faster.
        return specialized, np.where(draws.mode < 0.5, 0, 1).astype(np.int64)

    def lengths(self, layout: Layout, items: TaskItems, rows: EpochRows) -> dict[str, Ints]:
        """Compute the length of each field."""
        frames = items.num_frames[rows.item]
        # A masked output needs a fixed length, digit by digit the stop ends it.
        digits = np.full_like(frames, LENGTH_DIGITS) if layout.mode is Mode.NAR_LEN else _count_digits(frames)
        return condition_lengths(items, rows) | {"digits": digits}

    def fields(
        self, layout: Layout, items: TaskItems, rows: EpochRows, index: int, read_codes: ReadCodes
    ) -> dict[str, Elements]:
        """Make the fields of a row; digits that are predicted at once have leading zeros."""
        number = int(items.num_frames[rows.item[index]])
        digits = f"{number:0{LENGTH_DIGITS}d}" if layout.mode is Mode.NAR_LEN else str(number)
        fields = text_fields(items, rows, index) | prompt_field(rows, index, read_codes)
        return fields | {"digits": np.array([int(digit) for digit in digits], dtype=np.int64)}


def _count_digits(numbers: Ints) -> Ints:
    return np.searchsorted(10 ** np.arange(1, LENGTH_DIGITS), numbers, side="right") + 1


LENGTH = LengthTask()
