"""The best of several takes: each is heard by an ASR model and a speaker encoder, and the best score wins.

Sampling a zero-shot model now and then goes wrong; Chen et al. (VALL-E 2, arXiv 2406.05370, section 4.1) pick one of
five takes in the same way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from valle.audio import Audio, Samples, resample
from valle.backends.asr import SAMPLE_RATE, Transcriber
from valle.backends.speaker.base import Embedding, SpeakerEncoder
from valle.synthesis.decoding.seeds import take_seed
from valle.synthesis.options import DEFAULT_BEST_OF, BestOfOptions, SamplingOptions
from valle.synthesis.synthesizer import Request, Speech, Synthesizer
from valle.text.errors import count_character_errors, count_word_errors
from valle.text.normalise import default_normaliser, get_normaliser
from warehouse.errors import ConfigurationError

Judged = TypeVar("Judged")
_WORST_VOICE = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What the judges say of one take. None is what nobody was asked about: a weight of 0, no prompt, no words."""

    heard: str | None
    word_error_rate: float | None
    character_error_rate: float | None
    voice: float | None
    score: float


@dataclass(frozen=True, slots=True)
class Take:
    """One of several ways to say the same. `opinion` is None when there was no other to compare it to."""

    speech: Speech
    seed: int
    opinion: Opinion | None = None


@dataclass(frozen=True, slots=True)
class Takes:
    """All takes of an utterance in the order of their draws, and which of them was chosen."""

    takes: tuple[Take, ...]
    chosen: int

    @property
    def best(self) -> Take:
        """The chosen one."""
        return self.takes[self.chosen]


def judge_takes(
    takes: Sequence[Audio],
    text: str,
    voice: Audio | None,
    *,
    language: str = "en",
    options: BestOfOptions,
    transcriber: Transcriber | None,
    encoder: SpeakerEncoder | None,
) -> list[Opinion]:
    """What an ASR model and a speaker encoder say of takes of `text` in the voice of `voice`, in their order.

    The score is the weighted cosine less the weighted error rates, higher is better. A take without sound has all of
    its words wrong and the worst voice. A judge that is None is not asked. Raises ConfigurationError when the ASR
    model does not know the language.
    """
    normalise = get_normaliser(default_normaliser(language))
    said = normalise(text, language)
    waveforms = [resample(take.samples, take.sample_rate, SAMPLE_RATE) for take in takes]
    texts: Sequence[str | None] = [None] * len(takes)
    if transcriber is not None and said:
        if language != "en" and not transcriber.is_multilingual:
            raise ConfigurationError(
                f"The ASR model {options.transcriber} knows English only; set best_of.transcriber to one that knows "
                f"{language}, such as `small`."
            )
        heard = _of_sounds(waveforms, lambda sounds: transcriber.transcribe(sounds, language))
        texts = ["" if one is None else one.text for one in heard]
    voices: Sequence[float | None] = [None] * len(takes)
    if encoder is not None and voice is not None:
        (wanted,) = encoder.embed([resample(voice.samples, voice.sample_rate, SAMPLE_RATE)])
        voices = [_cosine(one, wanted) for one in _of_sounds(waveforms, encoder.embed)]
    return [
        _opinion(said, None if one is None else normalise(one, language), voice=cosine, text=one, options=options)
        for one, cosine in zip(texts, voices, strict=True)
    ]


def _of_sounds(
    waveforms: Sequence[Samples], judge: Callable[[Sequence[Samples]], Sequence[Judged]]
) -> list[Judged | None]:
    """What a judge says of each waveform; None for one without a sample, which no judge is shown."""
    verdicts = iter(judge(sounds) if (sounds := [one for one in waveforms if len(one)]) else ())
    return [next(verdicts) if len(one) else None for one in waveforms]


def _cosine(embedding: Embedding | None, wanted: Embedding) -> float:
    """The worst for speech that is missing or has no sound, whose embedding is no number."""
    cosine = _WORST_VOICE if embedding is None else float(embedding @ wanted)
    return _WORST_VOICE if np.isnan(cosine) else cosine


def _opinion(
    said: str, normalised: str | None, *, voice: float | None, text: str | None, options: BestOfOptions
) -> Opinion:
    words = None if normalised is None else count_word_errors(said, normalised).rate
    characters = None if normalised is None else count_character_errors(said, normalised).rate
    score = (
        options.voice_weight * (voice or 0)
        - options.word_weight * (words or 0)
        - options.character_weight * (characters or 0)
    )
    return Opinion(heard=text, word_error_rate=words, character_error_rate=characters, voice=voice, score=score)


def choose(takes: Sequence[Take]) -> int:
    """The place of the take with the best score.

    Speech goes before silence, whatever the scores: babble can have more errors than there are words. Equal scores go
    to the one that came to an end by itself, then to the first.
    """

    def key(place: int) -> tuple[bool, float, bool, int]:
        take = takes[place]
        score = 0.0 if take.opinion is None else take.opinion.score
        return take.speech.codes.shape[1] > 0, score, take.speech.is_complete, -place

    return max(range(len(takes)), key=key)


def speak_best(
    synthesizer: Synthesizer, request: Request, text: str, *, options: BestOfOptions = DEFAULT_BEST_OF
) -> Takes:
    """Speak one utterance several times in one batch, each with a seed of its own, and choose.

    `text` is what the phonemes of the request say. The first take is what `Synthesizer.speak` gives. The voice is
    compared to the prompt as the codec plays it. Raises ConfigurationError when all takes would be the same, when
    nothing would tell them apart, and as `judge_takes` and `Synthesizer.speak_many` do.
    """
    if options.count > 1:
        _check(request, options)
    seeds = [take_seed(request.options.seed, index) for index in range(options.count)]
    requests = [replace(request, options=request.options.model_copy(update={"seed": seed})) for seed in seeds]
    speeches = synthesizer.speak_many(requests)
    if options.count == 1:
        return Takes((Take(speeches[0], seeds[0]),), 0)
    backends, codec = synthesizer.backends, synthesizer.codec
    hears, compares = options.word_weight + options.character_weight > 0, options.voice_weight > 0
    voice = None
    if request.prompt is not None:
        voice = Audio(codec.decode([request.prompt.codes])[0], codec.spec.sample_rate)
    opinions = judge_takes(
        [speech.audio for speech in speeches],
        text,
        voice,
        language=request.language,
        options=options,
        transcriber=backends.transcriber(options.transcriber) if hears else None,
        encoder=backends.speaker_encoder(options.speaker_encoder) if compares and voice is not None else None,
    )
    takes = tuple(Take(*one) for one in zip(speeches, seeds, opinions, strict=True))
    return Takes(takes, choose(takes))


def _check(request: Request, options: BestOfOptions) -> None:
    if not _differs_by_seed(request.options):
        raise ConfigurationError(
            "All takes would be the same, because nothing is drawn; raise the temperature, or set best_of.count to 1."
        )
    if options.word_weight + options.character_weight == 0 and (options.voice_weight == 0 or request.prompt is None):
        raise ConfigurationError(
            "Nothing tells the takes apart; give best_of.word_weight or, with a prompt, best_of.voice_weight."
        )


def _differs_by_seed(sampling: SamplingOptions) -> bool:
    if sampling.nar_temperature > 0:
        return True
    if sampling.decoding == "ar":
        return sampling.temperature > 0 and sampling.beam.width == 0
    return sampling.temperature > 0 or sampling.masked.score == "random"
