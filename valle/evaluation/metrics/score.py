"""From what was heard to rows of scores: a pure function, so that a score can be made again from its parts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.defects import Silence, count_repeated_words
from valle.text.errors import count_character_errors, count_phoneme_errors, count_word_errors
from valle.text.normalise import Normaliser, get_normaliser
from warehouse.errors import ConfigurationError
from warehouse.rows import ScoreRow

Embedding = NDArray[np.float32]
Phonemize = Callable[[str, str], Sequence[str]]
"""The phonemes of a text in a language, without spaces, stress or punctuation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinions:
    """How natural the audio is found, 1 to 5; None where nobody was asked."""

    model: str | None = None
    dnsmos_ovrl: float | None = None
    dnsmos_p808: float | None = None
    distillmos: float | None = None


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
    first_audio_seconds: float | None = None
    audio_hash: str | None = None
    silence: Silence | None = None
    opinions: Opinions = Opinions()


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
    items_hash: str | None = None
    phonemizer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Voices:
    """The embeddings of the prompts by their ids: as they were recorded, and as the codec resynthesises them."""

    recorded: Mapping[str, Embedding]
    resynthesised: Mapping[str, Embedding] = field(default_factory=dict)


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
    voices: Voices,
    run: ScoringRun,
    phonemize: Phonemize | None = None,
    failures: Mapping[tuple[str, int], str] | None = None,
    recorded_durations: Mapping[str, float] | None = None,
) -> list[ScoreRow]:
    """One row per item, in the order of `items`.

    An item without an output, or whose output is empty, counts: all of its words are errors and its similarities are
    0; `failures` says why, by utterance and trial. Without a prompt voice similarity is null. `recorded_durations` are
    the seconds of the recordings of the utterances, for items that do not know them.
    Raises ConfigurationError for an output nobody asked for and for a text in which the normaliser leaves no word.
    """
    found = _by_item(outputs, items)
    durations = recorded_durations or {}
    return [
        _row(
            item,
            found.get((item.utterance, item.trial)),
            voices,
            run,
            phonemize=phonemize,
            failure=(failures or {}).get((item.utterance, item.trial)),
            recorded=item.duration if item.duration is not None else durations.get(item.utterance),
        )
        for item in items
    ]


def normalised_reference(item: EvaluationItem, normaliser: Normaliser) -> str:
    """Return the text that an item is scored against. Raises ConfigurationError when no word is left of it."""
    reference = normaliser(item.text, item.language)
    if not reference.split():
        raise ConfigurationError(
            f"The normaliser {normaliser.name} leaves no word of the text of {item.utterance} ({item.language}); "
            "choose another normaliser or leave the utterance out."
        )
    return reference


def _row(
    item: EvaluationItem,
    output: Output | None,
    voices: Voices,
    run: ScoringRun,
    *,
    phonemize: Phonemize | None,
    failure: str | None,
    recorded: float | None,
) -> ScoreRow:
    normaliser = get_normaliser(run.normaliser)
    heard = "" if output is None else output.heard
    reference, hypothesis = normalised_reference(item, normaliser), normaliser(heard, item.language)
    words, characters = count_word_errors(reference, hypothesis), count_character_errors(reference, hypothesis)
    phonemes = None
    if phonemize is not None:
        # Of the normalised texts: an ASR model writes "389" where a speaker was given "three eight nine".
        spoken = phonemize(hypothesis, item.language) if hypothesis else ()
        phonemes = count_phoneme_errors(phonemize(reference, item.language), spoken)
    silence = None if output is None else output.silence
    opinions = Opinions() if output is None else output.opinions
    return ScoreRow(
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
        sim_o=_similarity(output, voices.recorded.get(item.prompt)),
        generation_seconds=output.generation_seconds if output is not None else None,
        scored_at=run.scored_at,
        items_hash=run.items_hash,
        language=item.language,
        reference_raw=item.text,
        hypothesis_raw=heard,
        audio_hash=output.audio_hash if output is not None else None,
        failure=failure if output is None else None,
        first_audio_seconds=output.first_audio_seconds if output is not None else None,
        reference_duration=recorded,
        phonemizer=None if phonemes is None else run.phonemizer,
        num_phonemes=None if phonemes is None else phonemes.length,
        phoneme_errors=None if phonemes is None else phonemes.errors,
        repeated_words=None if output is None else count_repeated_words(reference, hypothesis),
        longest_silence=None if silence is None else silence.longest,
        silence_share=None if silence is None else silence.share,
        sim_r=_similarity(output, voices.resynthesised.get(item.prompt)),
        quality_model=opinions.model,
        dnsmos_ovrl=opinions.dnsmos_ovrl,
        dnsmos_p808=opinions.dnsmos_p808,
        distillmos=opinions.distillmos,
    )
