"""Predict the number of frames of a text, which masked decoding needs before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from valle.model.batch import make_batch
from valle.model.config import NUM_DIGITS
from valle.synthesis.decoding.groups import apply_by_group
from valle.synthesis.decoding.tokens import decode_tokens
from valle.tasks.length import LENGTH, LENGTH_DIGITS

if TYPE_CHECKING:
    from valle.model.valle import ValleModel
    from valle.synthesis.decoding.conditions import Condition, Utterance

SHORTEST, LONGEST = 0.4, 2.5
"""Bounds of a predicted duration, as factors of the average duration of a text with as many symbols."""


def num_frames(model: ValleModel, condition: Condition, predicted: int | None) -> int:
    """Clamp a predicted duration to the plausible range of the text; None is the average duration."""
    # A wrong leading digit is off by a factor of ten; no text is spoken ten times slower than the average.
    average = condition.average_frames(model.config.average_symbol)
    frames = average if predicted is None else predicted
    return max(1, round(min(max(frames, SHORTEST * average), LONGEST * average)))


@torch.inference_mode()
def predict_lengths(model: ValleModel, utterances: Sequence[Utterance]) -> list[int]:
    """Return the frames of each utterance without its prefix: as the options demand, or else predicted."""
    predicted = apply_by_group(
        utterances,
        lambda utterance: "given" if utterance.options.seconds is not None else utterance.options.duration,
        lambda method, group: _predict(model, [utterance.condition for utterance in group], method),
    )
    return [_length(model, *pair) for pair in zip(utterances, predicted, strict=True)]


def _length(model: ValleModel, utterance: Utterance, predicted: int | None) -> int:
    condition, options = utterance.condition, utterance.options
    if options.seconds is not None:
        return max(1, round(options.seconds * model.config.frame_rate))
    frames = round(options.duration_scale * num_frames(model, condition, predicted))
    longest = int(options.max_seconds * model.config.frame_rate)
    return max(1, min(frames - condition.num_spoken, longest))


def _predict(model: ValleModel, conditions: Sequence[Condition], method: str) -> list[int | None]:
    """Predict durations digit by digit (`digits`) or all digits at once (`at_once`); other methods predict none."""
    if method == "digits":
        rows = [LENGTH.row(one.symbol_ids, one.language_id, one.prompt, at_once=False) for one in conditions]
        decoded = decode_tokens(model, LENGTH.digit_by_digit, rows, longest=LENGTH_DIGITS)
        return [_as_number(digits) for digits in decoded]
    if method == "at_once":
        rows = [LENGTH.row(one.symbol_ids, one.language_id, one.prompt, at_once=True) for one in conditions]
        batch = make_batch(LENGTH.at_once, rows, model.config).to(model.device)
        logits = model(batch)[:, :NUM_DIGITS]  # without the stop, which only digit-by-digit decoding uses
        return [_as_number(digits) for digits in logits.argmax(-1).view(len(rows), LENGTH_DIGITS).tolist()]
    return [None] * len(conditions)


def _as_number(digits: Sequence[int]) -> int | None:
    return int("".join(str(digit) for digit in digits)) if digits else None
