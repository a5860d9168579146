"""Logits of every mode of a fixture: the rows of our layouts that have the inputs of the fixture.

A fixture of logits has `in.NAME.ROW` (phonemes, language, prompt, response, mask, and the outputs so far of lengths
and transcripts), and `MODE.single.ROW` and `MODE.batch.ROW` for the logits of a row alone and in a batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from valle.model.batch import make_batch
from valle.model.layout import SPEECH, Layout, Mode
from valle.model.row import Elements, Row
from valle.model.valle import ValleModel
from valle.tasks.length import LENGTH
from valle.tasks.transcription import TRANSCRIPTION
from valle.tasks.tts import TTS

Arrays = Mapping[str, NDArray[np.generic]]
TOLERANCE = 1e-4
UNSUPPORTED = {
    "mixed_broken": "rows of two masks in one batch, whose padding leaks",
    "ns_ar": "positions that leave out the task marker",
    "ns_nar1": "positions that leave out the task marker",
    "stt_hidden": "hidden states instead of logits",
    "ttsc_ar": "positions that leave out marker and separators",
}
"""Modes that are broken in the original program and not imitated, with the reason."""


@dataclass(frozen=True, slots=True)
class ModeDifference:
    """The largest difference of logits of a mode, and how many arrays were compared; None when nothing could be."""

    mode: str
    largest: float | None
    compared: int
    note: str = ""

    @property
    def is_equal(self) -> bool:
        """Return whether nothing differs by more than the tolerance."""
        return self.largest is None or self.largest <= TOLERANCE


def row_numbers(arrays: Arrays) -> list[int]:
    """Return the numbers of the input rows of a fixture."""
    return sorted({int(name.rsplit(".", 1)[1]) for name in arrays if name.startswith("in.phn.")})


def mode_names(names: Iterable[str]) -> list[str]:
    """Return the modes that have logits, in alphabetical order."""
    return sorted({name.split(".")[0] for name in names if ".single." in name or name.startswith("mixed_broken")})


def compare_modes(model: ValleModel, inputs: Arrays, logits: Arrays) -> list[ModeDifference]:
    """Compare the logits of each mode of a fixture with those of a model."""
    return [_compare(model, inputs, logits, mode) for mode in mode_names(logits)]


def _compare(model: ValleModel, inputs: Arrays, logits: Arrays, mode: str) -> ModeDifference:
    if mode in UNSUPPORTED:
        return ModeDifference(mode, None, 0, UNSUPPORTED[mode])
    differences = []
    numbers = [number for number in row_numbers(inputs) if f"{mode}.single.{number}" in logits]
    try:
        rows = {number: fixture_row(inputs, mode, number) for number in numbers}
    except KeyError:
        return ModeDifference(mode, None, 0, "no such mode of ours")
    for number in numbers:
        layout, row = rows[number]
        differences.append(largest_difference(compute(model, layout, [row])[0], logits[f"{mode}.single.{number}"]))
    batched = [number for number in numbers if f"{mode}.batch.{number}" in logits]
    if len(batched) > 1:
        layout = rows[batched[0]][0]
        ours = compute(model, layout, [rows[number][1] for number in batched])
        pairs = zip(ours, batched, strict=True)
        differences += [largest_difference(one, logits[f"{mode}.batch.{number}"]) for one, number in pairs]
    return ModeDifference(mode, max(differences, default=None), len(differences))


def largest_difference(ours: NDArray[np.float32], theirs: NDArray[np.generic]) -> float:
    """Return the largest absolute difference of the last positions that both have; infinite for other widths."""
    if ours.shape[1] != theirs.shape[1]:
        return float("inf")
    count = min(len(ours), len(theirs))
    return float(np.abs(ours[-count:] - theirs[-count:].astype(np.float32)).max())


@torch.inference_mode()
def compute(model: ValleModel, layout: Layout, rows: Sequence[Row]) -> list[NDArray[np.float32]]:
    """Compute the logits of the predicted elements of each row, [predictions, outputs]."""
    batch = make_batch(layout, rows, model.config)
    logits = model(batch).float().numpy()
    ends = batch.last_predictions.numpy() + 1
    return np.split(logits, ends[:-1])


def fixture_row(inputs: Arrays, mode: str, number: int) -> tuple[Layout, Row]:
    """Build the row that a fixture's mode has. Raises KeyError for a mode that has no row in this project."""
    given = {name: inputs[f"in.{name}.{number}"] for name in ("phn", "lang", "prom", "resp", "mask")}
    text, language = given["phn"].astype(np.int64), given["lang"].astype(np.int64)
    prompt, target = given["prom"].T.astype(np.int64), given["resp"].T.astype(np.int64)
    fields: dict[str, Elements] = {"text": text, "language": language, "prompt": prompt, "target": target}
    if mode.startswith("nar") and mode[3:].isdigit():
        codebook = int(mode[3:])
        return TTS.layout(Mode.NAR), Row(codebook, fields | {"target": target[:codebook]})
    match mode:
        case "ar":
            return TTS.layout(Mode.AR), Row(0, fields)
        case "ar_noprompt":
            return TTS.layout(Mode.AR), Row(0, {name: fields[name] for name in ("text", "language", "target")})
        case "narlen":
            return TTS.layout(Mode.NAR_LEN), Row(0, fields, given["mask"].astype(bool))
        case "narlen_null":
            null = {name: fields[name] for name in ("language", "target")}
            return TTS.layout(Mode.NAR_LEN), Row(0, null, given["mask"].astype(bool))
        case "len":
            digits = inputs[f"in.len_prefix.{number}"].astype(np.int64)[1:]
            known = {name: fields[name] for name in ("text", "language", "prompt")}
            return LENGTH.digit_by_digit, Row(0, known | {"digits": digits})
        case "stt":
            count = int(inputs[f"in.stt_prefix_length.{number}"])
            return TRANSCRIPTION.layout, Row(0, {SPEECH.name: target, "language": language, "text": text[1:count]})
    raise KeyError(mode)
