"""Several syntheses of one text side by side, each with its scores and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valle.audio import Audio
from valle.synthesis.best_of import score_candidates
from valle.synthesis.decoding.seeds import candidate_seed
from valle.synthesis.options import DEFAULT_BEST_OF

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from valle.serving.options import SpeechRequest
    from valle.serving.speech import Speaker
    from valle.synthesis.best_of import CandidateScore
    from valle.synthesis.long_form import LongSpeech
    from valle.synthesis.synthesizer import Prompt

NUM_CANDIDATES = 3


@dataclass(frozen=True, slots=True)
class ShownCandidate:
    """A candidate as the page shows it: audio, a line of scores, and its picture."""

    audio: Audio
    label: str
    plot: Figure


def speak_candidates(speaker: Speaker, request: SpeechRequest, recording: Prompt | None) -> list[ShownCandidate]:
    """Speak a request several times, each with its own seed; the first is what `speak` gives.

    Raises RefusedRequest and ConfigurationError as `Speaker.prepare`.
    """
    # Loaded with the first request: the forms of the page need no decoding.
    from valle.synthesis.long_form import speak_long

    prompt, sampling = speaker.voice_of(request, recording)
    synthesizer = speaker.synthesizer
    seeds = [candidate_seed(sampling.seed, index) for index in range(NUM_CANDIDATES)]
    spoken = [
        speak_long(
            synthesizer,
            request.input,
            prompt,
            language=request.language,
            sampling=sampling.model_copy(update={"seed": seed}),
            options=request.long_form,
        )
        for seed in seeds
    ]
    return [
        _shown(speaker, index, *values)
        for index, values in enumerate(zip(seeds, spoken, _scores(speaker, request, prompt, spoken), strict=True))
    ]


def _scores(
    speaker: Speaker, request: SpeechRequest, prompt: Prompt | None, spoken: list[LongSpeech]
) -> list[CandidateScore]:
    backends, codec = speaker.synthesizer.backends, speaker.synthesizer.codec
    # The model has only the codes of the prompt, so their speech is the nearest that a candidate can come.
    target = None if prompt is None else Audio(codec.decode([prompt.codes])[0], codec.spec.sample_rate)
    return score_candidates(
        [one.speech.audio for one in spoken],
        # Of a text with marks the pieces are what is spoken.
        " ".join(piece.text for piece in spoken[0].pieces),
        target,
        language=request.language,
        options=DEFAULT_BEST_OF,
        # The ASR model transcribes English only.
        transcriber=backends.transcriber(DEFAULT_BEST_OF.transcriber) if request.language == "en" else None,
        encoder=None if target is None else backends.speaker_encoder(DEFAULT_BEST_OF.speaker_encoder),
    )


def _shown(speaker: Speaker, index: int, seed: int, spoken: LongSpeech, score: CandidateScore) -> ShownCandidate:
    # Matplotlib takes a second to import, which a page that only streams need not wait for.
    from valle.statistics.speech_plot import draw_speech
    from valle.watermark import mark

    speech = spoken.speech
    values = (("WER", score.word_error_rate), ("similarity", score.similarity))
    parts = [f"{name} {value:.2f}" for name, value in values if value is not None]
    parts += [f"{speech.duration:.2f} s", f"{speech.codes.shape[1]} frames"]
    label = f"Candidate {index + 1}: {', '.join(parts)}"
    # The picture is that of the model, before the mark changes the spectrum.
    plot = draw_speech(speech.audio, speech.codes, title=f"seed {seed}")
    is_marked = speaker.options.watermark and len(speech.audio.samples) > 0
    return ShownCandidate(mark(speech.audio) if is_marked else speech.audio, label, plot)
