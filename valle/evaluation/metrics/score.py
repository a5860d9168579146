"""Compute score rows from transcriptions and embeddings; a pure function, so that scores can be reproduced."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.defects import Silence, count_repeated_words
from valle.text.errors import ErrorCount, count_character_errors, count_phoneme_errors, count_word_errors
from valle.text.normalise import get_normaliser
from warehouse.errors import ConfigurationError
from warehouse.model_rows import ScoreRow

Embedding = NDArray[np.float32]
Phonemize = Callable[[str, str], Sequence[str]]
"""Return the phonemes of a text in a language, without spaces, stress or punctuation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityScores:
    """Naturalness of speech, 1 to 5; None where it was not measured."""

    model: str | None = None
    dnsmos_ovrl: float | None = None
    dnsmos_p808: float | None = None
    distillmos: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The speech of a system for an item, with its transcription and speaker embedding.

    `embedding` is float32 [D], of any length but zero; None when the encoder rejected the audio.
    """

    utterance: str
    trial: int
    path: str
    duration: float
    transcription: str
    embedding: Embedding | None
    generation_seconds: float | None = None
    first_audio_seconds: float | None = None
    audio_hash: str | None = None
    silence: Silence | None = None
    quality: QualityScores = QualityScores()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRun:
    """Fields that all rows of one system in one evaluation share."""

    evaluation: str
    system: str
    checkpoint_id: str | None
    asr_model: str
    speaker_model: str
    scored_at: datetime
    normaliser: str = "valle-en"
    items_hash: str | None = None
    phonemizer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEmbeddings:
    """Embeddings of the prompts by their ids: of the recordings, and of the recordings through the codec."""

    recorded: Mapping[str, Embedding]
    resynthesized: Mapping[str, Embedding] = field(default_factory=dict)


def cosine(a: Embedding, b: Embedding) -> float:
    """Return the cosine of two vectors [D], -1 to 1; 0 when one of them is zero and has no direction."""
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.dot(a, b)) / norms if norms > 0 else 0.0


def has_words(item: EvaluationItem, normaliser: str) -> bool:
    """Return whether a normaliser leaves a word of the text; a rate of errors is undefined without one."""
    return bool(get_normaliser(normaliser)(item.text, item.language).split())


def score(
    items: Sequence[EvaluationItem],
    outputs: Iterable[Output],
    *,
    prompts: PromptEmbeddings,
    run: ScoringRun,
    phonemize: Phonemize | None = None,
    failures: Mapping[tuple[str, int], str] | None = None,
    recorded_durations: Mapping[str, float] | None = None,
) -> list[ScoreRow]:
    """Return one row per item, in the order of `items`.

    An item without an output counts: all of its words are errors and its similarities are 0; `failures` are the
    reasons by utterance and trial. Similarity is null where the prompt has no embedding. `recorded_durations` are the
    seconds of the recordings, by utterance, for items without a duration. Raise ConfigurationError for an output
    without an item and for a text of which the normaliser leaves no word (see `has_words`).
    """
    by_item = _outputs_by_item(outputs, items)
    durations = recorded_durations or {}
    return [
        _score_row(
            item,
            by_item.get((item.utterance, item.trial)),
            prompts,
            run,
            phonemize=phonemize,
            failure=(failures or {}).get((item.utterance, item.trial)),
            recorded_duration=item.duration if item.duration is not None else durations.get(item.utterance),
        )
        for item in items
    ]


def _outputs_by_item(outputs: Iterable[Output], items: Sequence[EvaluationItem]) -> dict[tuple[str, int], Output]:
    requested = {(item.utterance, item.trial) for item in items}
    by_item = {}
    for output in outputs:
        key = (output.utterance, output.trial)
        if key not in requested:
            raise ConfigurationError(
                f"There is speech for trial {output.trial} of {output.utterance}, which is no item of the evaluation; "
                "score it with the items it was made from."
            )
        by_item[key] = output
    return by_item


def _similarity(output: Output | None, prompt: Embedding | None) -> float | None:
    # Null and not 0: a list without prompts has no similarity, which is not a failure of the system.
    if prompt is None:
        return None
    return 0.0 if output is None or output.embedding is None else cosine(output.embedding, prompt)


def _phoneme_errors(reference: str, hypothesis: str, language: str, phonemize: Phonemize | None) -> ErrorCount | None:
    """Compare phonemes of the normalised texts: ASR writes "389" for a text that has "three eight nine"."""
    if phonemize is None:
        return None
    return count_phoneme_errors(phonemize(reference, language), phonemize(hypothesis, language) if hypothesis else ())


def _score_row(
    item: EvaluationItem,
    output: Output | None,
    prompts: PromptEmbeddings,
    run: ScoringRun,
    *,
    phonemize: Phonemize | None,
    failure: str | None,
    recorded_duration: float | None,
) -> ScoreRow:
    normaliser = get_normaliser(run.normaliser)
    transcription = "" if output is None else output.transcription
    reference, hypothesis = normaliser(item.text, item.language), normaliser(transcription, item.language)
    if not reference.split():
        raise ConfigurationError(
            f"The normaliser {run.normaliser} leaves no word of the text of {item.utterance} ({item.language}); "
            "choose another normaliser or leave the utterance out."
        )
    words, characters = count_word_errors(reference, hypothesis), count_character_errors(reference, hypothesis)
    phonemes = _phoneme_errors(reference, hypothesis, item.language, phonemize)
    silence = None if output is None else output.silence
    quality = QualityScores() if output is None else output.quality
    return ScoreRow(
        # The label keeps the scores of one output under several normalisers apart.
        score_id="/".join(
            (run.evaluation, run.system, item.protocol, item.utterance, str(item.trial), normaliser.label)
        ),
        evaluation=run.evaluation,
        protocol=item.protocol,
        system=run.system,
        checkpoint_id=run.checkpoint_id,
        utterance=item.utterance,
        prompt=item.prompt or None,
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
        sim_o=_similarity(output, prompts.recorded.get(item.prompt)),
        generation_seconds=output.generation_seconds if output is not None else None,
        scored_at=run.scored_at,
        items_hash=run.items_hash,
        language=item.language,
        reference_raw=item.text,
        hypothesis_raw=transcription,
        audio_hash=output.audio_hash if output is not None else None,
        failure=failure if output is None else None,
        first_audio_seconds=output.first_audio_seconds if output is not None else None,
        reference_duration=recorded_duration,
        phonemizer=None if phonemes is None else run.phonemizer,
        num_phonemes=None if phonemes is None else phonemes.length,
        phoneme_errors=None if phonemes is None else phonemes.errors,
        repeated_words=None if output is None else count_repeated_words(reference, hypothesis),
        longest_silence=None if silence is None else silence.longest,
        silence_share=None if silence is None else silence.share,
        sim_r=_similarity(output, prompts.resynthesized.get(item.prompt)),
        quality_model=quality.model,
        dnsmos_ovrl=quality.dnsmos_ovrl,
        dnsmos_p808=quality.dnsmos_p808,
        distillmos=quality.distillmos,
    )
