"""Utterances of a training set's held-out split, with everything that a task is given and should answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from valle.data.codes_reader import CodesReader
from valle.tasks.words import word_borders

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.data.selection.training_set import TrainingSet

_PROMPT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class TaskCase:
    """One utterance: its codes [K, T], those of its mixture and of what was added, and a prompt of its speaker.

    `mixture_kind` is None without a mixture, `prompt` without another utterance of the speaker; `borders` are empty
    without word times. `other_symbols` are the phonemes of the utterance of the prompt.
    """

    utterance: str
    speaker: str
    language: str
    text: str
    symbols: tuple[str, ...]
    speech: Codes
    mixture_kind: str | None
    mixture: Codes | None
    interference: Codes | None
    prompt: Codes | None
    other_symbols: tuple[str, ...] | None
    borders: tuple[int, ...]


def read_cases(training_set: TrainingSet, *, split: str = "test", count: int = 100) -> Iterator[TaskCase]:
    """Yield the first `count` utterances of a split in the order of their ids, one in memory at a time."""
    reader, spec = CodesReader(training_set.lake), training_set.card.codec
    rows = training_set.split(split).to_pylist()
    first_of: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        first_of.setdefault(row["speaker"], []).append(index)
    for index, row in enumerate(rows[:count]):
        others = [other for other in first_of[row["speaker"]] if other != index]
        prompt = None
        if others:
            frames = round(_PROMPT_SECONDS * spec.frame_rate)
            prompt = _read(reader, rows[others[0]], "codes", spec.num_codebooks)[:, :frames]
        kind = row.get("mixture_kind")
        # A changed voice has no codes of what was added.
        stored = 2 * spec.num_codebooks if kind != "voice" else spec.num_codebooks
        mixture = None if kind is None else _read(reader, row, "mixture", stored)
        times = row.get("word_times")
        scale = row["num_frames"] / row["duration"]
        borders = word_borders(np.array(times).reshape(-1, 2) * scale, row["num_frames"]) if times else ()
        yield TaskCase(
            utterance=row["segment_id"],
            speaker=row["speaker"],
            language=row["language"],
            text=row["text"],
            symbols=tuple(row["symbols"]),
            speech=_read(reader, row, "codes", spec.num_codebooks),
            mixture_kind=kind,
            mixture=None if mixture is None else mixture[: spec.num_codebooks],
            interference=None if mixture is None or kind == "voice" else mixture[spec.num_codebooks :],
            prompt=prompt,
            other_symbols=tuple(rows[others[0]]["symbols"]) if others else None,
            borders=tuple(int(border) for border in borders),
        )


def _read(reader: CodesReader, row: dict[str, object], table: str, num_codebooks: int) -> Codes:
    place = [row[f"{table}_{name}"] for name in ("file", "row_group", "row")]
    return reader.read(str(place[0]), int(str(place[1])), int(str(place[2])), num_codebooks=num_codebooks)
