"""How many frames a text takes, which masked decoding must know before it begins."""

from collections.abc import Sequence

import torch

from valle.model.batch import make_batch
from valle.model.config import NUM_DIGITS
from valle.model.valle import ValleModel
from valle.synthesis.decoding.conditions import Condition, device_of
from valle.synthesis.decoding.tokens import decode_tokens
from valle.synthesis.options import SamplingOptions
from valle.tasks.length import LENGTH, LENGTH_DIGITS

SHORTEST, LONGEST = 0.4, 2.5
"""A text takes at least and at most so many times the frames that its symbols take on average."""


def average_frames(model: ValleModel, condition: Condition) -> float:
    """The frames that a text of so many symbols takes on average."""
    # `<bos>` and `<eos>` are not spoken.
    return max(1, len(condition.symbol_ids) - 2) * model.config.text_stride


def num_frames(model: ValleModel, condition: Condition, predicted: int | None) -> int:
    """A predicted length, or the average one for None, within what a text of so many symbols can take."""
    average = average_frames(model, condition)
    wanted = average if predicted is None else predicted
    return max(1, round(min(max(wanted, SHORTEST * average), LONGEST * average)))


@torch.inference_mode()
def predict_lengths(
    model: ValleModel, conditions: Sequence[Condition], options: Sequence[SamplingOptions]
) -> list[int]:
    """Frames of each utterance, its prefix not counted: what the options say, or else what the model predicts."""
    predicted: dict[int, list[int]] = {}
    for way in ("digits", "at_once"):
        asked = [place for place, own in enumerate(options) if own.duration == way and own.seconds is None]
        if asked:
            predicted |= dict(zip(asked, _predict(model, [conditions[place] for place in asked], way), strict=True))
    lengths = []
    for index, (condition, own) in enumerate(zip(conditions, options, strict=True)):
        if own.seconds is not None:
            lengths.append(max(1, round(own.seconds * model.config.frame_rate)))
            continue
        digits = predicted.get(index, [])
        number = int("".join(str(digit) for digit in digits)) if digits else None
        whole = round(own.slowness * num_frames(model, condition, number))
        longest = int(own.max_seconds * model.config.frame_rate)
        lengths.append(max(1, min(whole - condition.num_said, longest)))
    return lengths


def _predict(model: ValleModel, conditions: Sequence[Condition], way: str) -> list[list[int]]:
    """The digits of each length, one after the other or all at once."""
    if way == "digits":
        rows = [LENGTH.row(one.symbol_ids, one.language_id, one.prompt, at_once=False) for one in conditions]
        return decode_tokens(model, LENGTH.digit_by_digit, rows, longest=LENGTH_DIGITS)
    rows = [LENGTH.row(one.symbol_ids, one.language_id, one.prompt, at_once=True) for one in conditions]
    batch = make_batch(LENGTH.at_once, rows, model.config).to(device_of(model))
    logits = model(batch)[:, :NUM_DIGITS]  # the stop of the other way is no digit
    return logits.argmax(-1).view(len(rows), LENGTH_DIGITS).tolist()
