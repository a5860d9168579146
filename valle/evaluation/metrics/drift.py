"""Split the errors of an utterance, and its speaker similarity, into quarters: long speech may degrade towards its end.

Word errors by quarter of the text are the quantile metric of tts_longeval. A word of the reference belongs to the
quarter of its position, whether it was transcribed or not; an inserted word belongs to the quarter of the word before
it. The errors of the quarters add up to all errors of the utterance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from valle.audio import AudioLocation, Samples, UnreadableAudio, read_audio
from valle.backends.speaker.base import SAMPLE_RATE, SpeakerEncoder
from valle.evaluation.metrics.score import cosine
from valle.evaluation.systems.base import PROMPT_COPIED, SHUFFLED_SPEAKER
from valle.text.errors import align_words
from warehouse.model_rows import ScoreRow

NUM_QUARTERS = 4

LONG_SECONDS = 20.0
"""Duration from which speech is long: quarters of shorter utterances are too short to compare speakers."""


@dataclass(frozen=True, slots=True)
class QuarterErrors:
    """Errors and words of the reference in each quarter of an utterance."""

    errors: tuple[int, ...]
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QuarterSimilarities:
    """SIM-o of each quarter of the duration of one utterance."""

    system: str
    speaker: str
    cosines: tuple[float, ...]


def quarter_errors(reference: str, hypothesis: str) -> QuarterErrors:
    """Count word errors by quarter of the reference; both texts are normalised."""
    num_words = len(reference.split())
    errors, words = [0] * NUM_QUARTERS, [0] * NUM_QUARTERS
    position, quarter = 0, 0
    for column in align_words(reference, hypothesis):
        if column.reference is not None:
            quarter = NUM_QUARTERS * position // num_words
            words[quarter] += 1
            position += 1
        errors[quarter] += column.mark != "="
    return QuarterErrors(tuple(errors), tuple(words))


def split_quarters(samples: Samples) -> list[Samples]:
    """Split samples [N] into four consecutive parts of almost equal length."""
    return list(np.array_split(samples, NUM_QUARTERS))


def long_rows(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Return the rows with long speech, without the controls that are not speech of their own text."""
    excluded = (SHUFFLED_SPEAKER, PROMPT_COPIED)
    return [row for row in rows if row.path and (row.duration or 0) > LONG_SECONDS and row.system not in excluded]


def quarter_similarities(rows: Sequence[ScoreRow], encoder: SpeakerEncoder) -> list[QuarterSimilarities]:
    """Measure SIM-o by quarter of all long speech, against the prompts of the control `prompt_copied`.

    Speech or prompts that can no longer be read are skipped.
    """
    prompts = {row.prompt: row for row in rows if row.system == PROMPT_COPIED}
    embeddings: dict[str | None, NDArray[np.float32] | None] = {}
    measured = []
    for row in long_rows(rows):
        if row.prompt not in embeddings:
            prompt_samples = _samples(prompts.get(row.prompt))
            embeddings[row.prompt] = None if prompt_samples is None else encoder.embed([prompt_samples])[0]
        prompt_embedding, samples = embeddings[row.prompt], _samples(row)
        if prompt_embedding is None or samples is None:
            continue
        cosines = tuple(
            # A silent quarter has no embedding and counts like missing speech.
            cosine(quarter, prompt_embedding) if np.isfinite(quarter).all() else 0.0
            for quarter in encoder.embed(split_quarters(samples))
        )
        measured.append(QuarterSimilarities(row.system, row.speaker, cosines))
    return measured


def _samples(row: ScoreRow | None) -> Samples | None:
    if row is None or row.path is None:
        return None
    try:
        return read_audio(AudioLocation(row.path), SAMPLE_RATE).samples
    except UnreadableAudio:
        return None
