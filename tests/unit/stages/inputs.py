"""Inputs of stages for tests: rows and audio made up on the spot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from valle.audio import Audio, AudioLocation, Samples
from valle.backends.registry import Backends
from valle.stages.base import Stage, StageInput, WorkItem
from valle.stages.outcomes import process_batch, stamp
from warehouse.lake.arrow import to_table
from warehouse.rows import Span


def stage_input(
    *,
    id: str = "r_0000000000_0000016000",
    path: Path | str = "none.wav",
    sample_rate: int = 16_000,
    duration: float = 1.0,
    text: str | None = None,
    language: str | None = "en",
    spans: tuple[Span, ...] = (),
    span_texts: tuple[str | None, ...] = (),
) -> StageInput:
    return StageInput(
        id=id,
        recording_id="r",
        corpus="toy",
        shard="toy-0",
        output_fingerprint="f",
        location=AudioLocation(str(path)),
        sample_rate=sample_rate,
        duration=duration,
        text=text,
        language=language,
        spans=spans,
        span_texts=span_texts,
    )


def work_item(
    samples: Samples, sample_rate: int = 16_000, *, id: str = "s", text: str | None = None, language: str | None = "en"
) -> WorkItem:
    source = stage_input(
        id=id, sample_rate=sample_rate, duration=len(samples) / sample_rate, text=text, language=language
    )
    return WorkItem(source, Audio(samples, sample_rate))


def rows_of(stage: Stage, items: Sequence[WorkItem], models: Backends) -> list[Any]:
    """The rows that the runner commits for one batch; every one fits its table."""
    processed = process_batch(stage, items, models, "toy-0")
    rows = [row for source, outcome in processed for row in stamp(stage, source, outcome)]
    assert to_table(stage.writes, rows).num_rows == len(rows)
    return rows


def write_wav(path: Path, samples: Samples, sample_rate: int = 16_000) -> Path:
    soundfile.write(path, samples, sample_rate, subtype="FLOAT")
    return path


def noise(seconds: float, sample_rate: int = 16_000, *, level: float = 0.1, seed: int = 0) -> Samples:
    generator = np.random.default_rng(seed)
    return (level * generator.standard_normal(int(seconds * sample_rate))).astype(np.float32)


def silence(seconds: float, sample_rate: int = 16_000) -> Samples:
    return np.zeros(int(seconds * sample_rate), np.float32)


def backends_with(**models: Any) -> Backends:
    """Backends whose models are already open: `backends_with(asr=("tiny.en", model))`."""
    return Backends(_opened={(kind, name): model for kind, (name, model) in models.items()})
