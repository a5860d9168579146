"""From what was heard to rows of scores: a pure function, so that a score can be made again from its parts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from valle.evaluation.errors import count_character_errors, count_word_errors
from valle.evaluation.items import EvaluationItem
from valle.evaluation.normalise import get_normaliser
from warehouse.errors import ConfigurationError
from warehouse.rows import ScoreRow

Embedding = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a system made of an item: its audio, the text the ASR heard in it and its voice.

    `embedding` is float32 [D], of any length but zero; None when the encoder could make nothing of the audio.
    """

    utterance: str
    trial: int
    path: str
    duration: float
    heard: str
    embedding: Embedding | None
    generation_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRun:
    """What all rows of one system in one evaluation have in common."""

    evaluation: str
    system: str
    checkpoint_id: str | None
    asr_model: str
    speaker_model: str
    scored_at: datetime
    normaliser: str = "valle-en"


def cosine(a: Embedding, b: Embedding) -> float:
    """Cosine of two vectors [D], -1 to 1."""
    return float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def _similarity(output: Output | None, prompt_voice: Embedding | None) -> float | None:
    if output is None or output.embedding is None:
        return None if prompt_voice is None else 0.0
    return None if prompt_voice is None else cosine(output.embedding, prompt_voice)


def _by_item(outputs: Iterable[Output], items: Sequence[EvaluationItem]) -> dict[tuple[str, int], Output]:
    asked = {(item.utterance, item.trial) for item in items}
    found = {}
    for output in outputs:
        key = (output.utterance, output.trial)
        if key not in asked:
            raise ConfigurationError(
                f"There is speech for trial {output.trial} of {output.utterance}, which the evaluation does not ask "
                "for; score it with the items it was made from."
            )
        found[key] = output
    return found


def score(
    items: Sequence[EvaluationItem],
    outputs: Iterable[Output],
    *,
    prompt_voices: Mapping[str, Embedding],
    run: ScoringRun,
) -> list[ScoreRow]:
    """One row per item, in the order of `items`; `prompt_voices` holds the embedding of each item's prompt by its id.

    An item without an output, or whose output is empty, counts: all of its words are errors and its SIM-o is 0.
    Without a prompt voice SIM-o is null. Raises ConfigurationError for an output nobody asked for and for a text in
    which the normaliser leaves no word.
    """
    normaliser = get_normaliser(run.normaliser)
    found = _by_item(outputs, items)
    rows = []
    for item in items:
        output = found.get((item.utterance, item.trial))
        reference = normaliser(item.text, item.language)
        hypothesis = normaliser(output.heard, item.language) if output is not None else ""
        if not reference.split():
            raise ConfigurationError(
                f"The normaliser {run.normaliser} leaves no word of the text of {item.utterance} ({item.language}); "
                "choose another normaliser or leave the utterance out."
            )
        words = count_word_errors(reference, hypothesis)
        characters = count_character_errors(reference, hypothesis)
        rows.append(
            ScoreRow(
                score_id="/".join(
                    (run.evaluation, run.system, item.protocol, item.utterance, str(item.trial), normaliser.label)
                ),
                evaluation=run.evaluation,
                protocol=item.protocol,
                system=run.system,
                checkpoint_id=run.checkpoint_id,
                utterance=item.utterance,
                prompt=item.prompt,
                trial=item.trial,
                speaker=item.speaker,
                path=output.path if output is not None else None,
                duration=output.duration if output is not None else None,
                reference=reference,
                hypothesis=hypothesis,
                normaliser=normaliser.label,
                asr_model=run.asr_model,
                num_words=words.length,
                word_errors=words.errors,
                num_characters=characters.length,
                character_errors=characters.errors,
                speaker_model=run.speaker_model,
                sim_o=_similarity(output, prompt_voices.get(item.prompt)),
                generation_seconds=output.generation_seconds if output is not None else None,
                scored_at=run.scored_at,
            )
        )
    return rows
