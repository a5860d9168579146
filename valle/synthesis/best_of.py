"""Best-of-n: score several candidates by an ASR model and a speaker encoder, and choose the best.

Sampling of a zero-shot model fails now and then; Chen et al. (VALL-E 2, arXiv 2406.05370, section 4.1) choose one of
five candidates in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from valle.audio import Audio, Samples, resample
from valle.backends.asr import SAMPLE_RATE
from valle.backends.transcription import Transcriber
from valle.synthesis.decoding.seeds import candidate_seed
from valle.text.errors import count_character_errors, count_word_errors
from valle.text.normalise import normalise
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.backends.speaker.base import Embedding, SpeakerEncoder
    from valle.synthesis.options import BestOfOptions, SamplingOptions
    from valle.synthesis.synthesizer import Request, Speech, Synthesizer

Measured = TypeVar("Measured")
_LOWEST_SIMILARITY = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateScore:
    """Score of one candidate; a value that was not measured (weight 0, no prompt, no words) is None."""

    transcription: str | None
    word_error_rate: float | None
    character_error_rate: float | None
    similarity: float | None
    total: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of several syntheses of a sentence."""

    speech: Speech
    seed: int
    score: CandidateScore


@dataclass(frozen=True, slots=True)
class Candidates:
    """All candidates of an utterance in the order of their seeds, and the index of the chosen one."""

    candidates: tuple[Candidate, ...]
    chosen: int

    @property
    def best(self) -> Candidate:
        """The chosen candidate."""
        return self.candidates[self.chosen]


def score_candidates(
    candidates: Sequence[Audio],
    text: str,
    prompt: Audio | None,
    *,
    language: str = "en",
    options: BestOfOptions,
    transcriber: Transcriber | None,
    encoder: SpeakerEncoder | None,
) -> list[CandidateScore]:
    """Score candidates of `text` in the voice of `prompt`, in their order; a higher total is better.

    The total is the weighted cosine minus the weighted error rates. In a candidate without audio all words are wrong
    and the similarity is lowest. A model that is None is not used. Raises ConfigurationError when the ASR model does
    not support the language.
    """
    # Scores of candidates are compared to each other only, so the default normaliser of the language serves.
    reference = normalise(text, language)
    waveforms = [resample(audio.samples, audio.sample_rate, SAMPLE_RATE) for audio in candidates]
    transcriptions: Sequence[str | None] = [None] * len(candidates)
    if transcriber is not None and reference:
        if language != "en" and not transcriber.is_multilingual:
            raise ConfigurationError(
                f"The ASR model {options.transcriber} supports English only; set best_of.transcriber to one that "
                f"supports {language}, such as `small`."
            )
        results = _measure(waveforms, lambda audible: transcriber.transcribe(audible, language))
        transcriptions = ["" if result is None else result.text for result in results]
    similarities: Sequence[float | None] = [None] * len(candidates)
    if encoder is not None and prompt is not None:
        (target,) = encoder.embed([resample(prompt.samples, prompt.sample_rate, SAMPLE_RATE)])
        similarities = [_similarity(embedding, target) for embedding in _measure(waveforms, encoder.embed)]
    return [
        _score(
            reference,
            None if transcription is None else normalise(transcription, language),
            transcription=transcription,
            similarity=similarity,
            options=options,
        )
        for transcription, similarity in zip(transcriptions, similarities, strict=True)
    ]


def _measure(
    waveforms: Sequence[Samples], model: Callable[[Sequence[Samples]], Sequence[Measured]]
) -> list[Measured | None]:
    """Apply a model to each waveform; an empty one gives None, because models do not accept it."""
    audible = [waveform for waveform in waveforms if len(waveform)]
    results = iter(model(audible) if audible else ())
    return [next(results) if len(waveform) else None for waveform in waveforms]


def _similarity(embedding: Embedding | None, target: Embedding) -> float:
    """Return the cosine; the lowest for missing speech, and for digital silence, whose embedding is NaN."""
    cosine = _LOWEST_SIMILARITY if embedding is None else float(embedding @ target)
    return _LOWEST_SIMILARITY if np.isnan(cosine) else cosine


def _score(
    reference: str,
    hypothesis: str | None,
    *,
    transcription: str | None,
    similarity: float | None,
    options: BestOfOptions,
) -> CandidateScore:
    words = None if hypothesis is None else count_word_errors(reference, hypothesis).rate
    characters = None if hypothesis is None else count_character_errors(reference, hypothesis).rate
    total = (
        options.similarity_weight * (similarity or 0)
        - options.word_weight * (words or 0)
        - options.character_weight * (characters or 0)
    )
    return CandidateScore(
        transcription=transcription,
        word_error_rate=words,
        character_error_rate=characters,
        similarity=similarity,
        total=total,
    )


def choose(candidates: Sequence[Candidate]) -> int:
    """Return the index of the candidate with the best score.

    Speech precedes silence at any score, because babble can have more errors than there are words. At equal scores a
    candidate that ended by itself precedes one that was cut, then the first wins.
    """

    def key(index: int) -> tuple[bool, float, bool, int]:
        candidate = candidates[index]
        return candidate.speech.codes.shape[1] > 0, candidate.score.total, candidate.speech.is_complete, -index

    return max(range(len(candidates)), key=key)


def speak_best_of(synthesizer: Synthesizer, request: Request, text: str, *, options: BestOfOptions) -> Candidates:
    """Synthesize an utterance several times in one batch, each with its own seed, and choose the best.

    `text` is the text of the request's phonemes. The first candidate equals `Synthesizer.speak`. The similarity is to
    the prompt as the codec reconstructs it. Raises ConfigurationError when all candidates would be the same, when
    no weight tells them apart, and as `score_candidates` and `Synthesizer.speak_many` do.
    """
    _check(request, options)
    seeds = [candidate_seed(request.options.seed, index) for index in range(options.count)]
    requests = [replace(request, options=request.options.model_copy(update={"seed": seed})) for seed in seeds]
    speeches = synthesizer.speak_many(requests)
    backends, codec = synthesizer.backends, synthesizer.codec
    # The model has only the codes of the prompt, so the reconstruction is the speaker that it can reach.
    prompt = None
    if request.prompt is not None and options.similarity_weight > 0:
        prompt = Audio(codec.decode([request.prompt.codes])[0], codec.spec.sample_rate)
    needs_text = options.word_weight + options.character_weight > 0
    scores = score_candidates(
        [speech.audio for speech in speeches],
        text,
        prompt,
        language=request.language,
        options=options,
        transcriber=backends.transcriber(options.transcriber) if needs_text else None,
        encoder=backends.speaker_encoder(options.speaker_encoder) if prompt is not None else None,
    )
    candidates = tuple(Candidate(*values) for values in zip(speeches, seeds, scores, strict=True))
    return Candidates(candidates, choose(candidates))


def _check(request: Request, options: BestOfOptions) -> None:
    if not _depends_on_seed(request.options):
        raise ConfigurationError(
            "All candidates would be the same, because nothing is drawn; raise the temperature, or set best_of.count "
            "to 1."
        )
    if options.word_weight + options.character_weight == 0 and (
        options.similarity_weight == 0 or request.prompt is None
    ):
        raise ConfigurationError(
            "Nothing tells the candidates apart; give best_of.word_weight or, with a prompt, best_of.similarity_weight."
        )


def _depends_on_seed(sampling: SamplingOptions) -> bool:
    if sampling.nar_temperature > 0:
        return True
    # The other codebooks are an argmax at nar_temperature 0, with any seed.
    if sampling.decoding == "ar":
        return sampling.is_random
    return sampling.temperature > 0 or sampling.masked.score == "random"
