"""Known answers of the models that judge: each is asked about stored clips before anybody is scored.

A speaker encoder whose weights were not loaded, an ASR model that was swapped, another resampler: all of them give
numbers that look right. `known_answers.json` holds what each revision said about three clips of the demo corpus; a
revision that it does not know is only checked for sense, and the report of the test says so.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from manifests.demo.clips import demo_folder
from valle.audio import AudioLocation, Samples, read_audio
from valle.backends.asr import SAMPLE_RATE as ASR_RATE
from valle.backends.asr import transcriber_revision
from valle.backends.quality import SAMPLE_RATE as QUALITY_RATE
from valle.backends.quality import quality_scorer_revision
from valle.backends.registry import Backends
from valle.backends.speaker import speaker_encoder_revision
from valle.backends.speaker.base import SAMPLE_RATE as SPEAKER_RATE
from valle.evaluation.metrics.score import cosine
from valle.evaluation.plan import Judges
from valle.text.errors import count_word_errors
from valle.text.normalise import get_normaliser
from warehouse.errors import DependencyError

SAME_SPEAKER = ("bm_fable_s118", "bm_fable_s123")
OTHER_SPEAKER = ("bm_fable_s118", "am_adam_s102")
SPOKEN = {
    "bm_fable_s118": "Turn right at the library, then walk for two minutes.",
    "am_adam_s102": "The train to London leaves from platform four in five minutes.",
}
"""The clips that ASR is asked about, and what they say."""

_COSINE_TOLERANCE = 1e-3
_OPINION_TOLERANCE = 0.05
_SENSIBLE_RATE = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the test of one model found: `is_sound` False means that no score of it is to be believed.

    `has_fixture` is False for a revision whose answers nobody has stored.
    """

    judge: str
    revision: str
    is_sound: bool
    has_fixture: bool
    detail: str


def known_answers() -> dict[str, dict[str, Any]]:
    """The stored answers by model revision."""
    content = files("valle.evaluation.metrics").joinpath("known_answers.json").read_text(encoding="utf-8")
    return dict(json.loads(content))


def ask_judges(
    judges: Judges, backends: Backends, *, known: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Verdict]:
    """Ask every model of `judges`; `known` are the stored answers, by default those that come with the project."""
    answers = known_answers() if known is None else known
    verdicts = [
        _verdict(
            "ASR", transcriber_revision(judges.asr), transcribe_clips(judges.asr, backends), answers, _judge_transcripts
        ),
        _verdict(
            "speaker encoder",
            speaker_encoder_revision(judges.speaker_encoder),
            compare_clips(judges.speaker_encoder, backends),
            answers,
            _judge_cosines,
        ),
    ]
    for name in judges.scorers:
        opinions = rate_clip(name, backends)
        verdicts.append(_verdict("naturalness", quality_scorer_revision(name), opinions, answers, _judge_opinions))
    return verdicts


def require_sound_judges(judges: Judges, backends: Backends) -> list[Verdict]:
    """The verdicts, when all are good. Raises DependencyError with one sentence about the first bad one."""
    verdicts = ask_judges(judges, backends)
    for verdict in verdicts:
        if not verdict.is_sound:
            raise DependencyError(
                f"The {verdict.judge} {verdict.revision} fails its self-test ({verdict.detail}), so its scores mean "
                "nothing; install its weights and libraries again."
            )
    return verdicts


def transcribe_clips(name: str, backends: Backends) -> dict[str, str]:
    """What an ASR model hears in the clips, by clip."""
    heard = backends.transcriber(name).transcribe([_clip(clip, ASR_RATE) for clip in SPOKEN], "en")
    return {clip: one.text for clip, one in zip(SPOKEN, heard, strict=True)}


def compare_clips(name: str, backends: Backends) -> dict[str, float]:
    """The cosines of two clips of one voice, and of two voices."""
    encoder = backends.speaker_encoder(name)
    clips = sorted({*SAME_SPEAKER, *OTHER_SPEAKER})
    voices = dict(zip(clips, encoder.embed([_clip(clip, SPEAKER_RATE) for clip in clips]), strict=True))
    return {
        "same": cosine(*(voices[clip] for clip in SAME_SPEAKER)),
        "other": cosine(*(voices[clip] for clip in OTHER_SPEAKER)),
    }


def rate_clip(name: str, backends: Backends) -> dict[str, float]:
    """The opinions of a scorer on one clip."""
    (opinions,) = backends.quality_scorer(name).score([_clip(SAME_SPEAKER[0], QUALITY_RATE)])
    return dict(opinions)


def _clip(name: str, sample_rate: int) -> Samples:
    return read_audio(AudioLocation(str(demo_folder() / "audio" / f"{name}.ogg")), sample_rate).samples


def _verdict(
    judge: str,
    revision: str,
    given: Mapping[str, Any],
    known: Mapping[str, Mapping[str, Any]],
    fault: Callable[[Mapping[str, Any], Mapping[str, Any] | None], str],
) -> Verdict:
    found = fault(given, known.get(revision))
    has_fixture = revision in known
    good = "gives the stored answers" if has_fixture else "no stored fixture; its answers make sense"
    return Verdict(judge, revision, not found, has_fixture, found or good)


def _judge_transcripts(given: Mapping[str, Any], known: Mapping[str, Any] | None) -> str:
    normalise = get_normaliser("valle-en")
    for clip, text in given.items():
        if known is not None and normalise(text) != normalise(known[clip]):
            return f"it hears {text!r} in {clip} where {known[clip]!r} is stored"
        errors = count_word_errors(normalise(SPOKEN[clip]), normalise(text))
        if errors.rate > _SENSIBLE_RATE:
            return f"it hears {text!r} in {clip}, which says {SPOKEN[clip]!r}"
    return ""


def _judge_cosines(given: Mapping[str, Any], known: Mapping[str, Any] | None) -> str:
    for pair, value in given.items():
        if known is not None and not abs(value - known[pair]) <= _COSINE_TOLERANCE:
            return f"the cosine of the {pair} voice is {value:.4f} where {known[pair]:.4f} is stored"
    if not given["same"] > given["other"]:
        return f"it finds two voices ({given['other']:.3f}) as alike as one ({given['same']:.3f})"
    return ""


def _judge_opinions(given: Mapping[str, Any], known: Mapping[str, Any] | None) -> str:
    for name, value in given.items():
        if known is not None and not abs(value - known[name]) <= _OPINION_TOLERANCE:
            return f"{name} is {value:.3f} where {known[name]:.3f} is stored"
        if not 1.0 <= value <= 5.0:
            return f"{name} is {value:.3f}, outside 1 to 5"
    return ""
