"""Check the metric models against known answers: each scores stored clips before any system is scored.

A speaker encoder without its weights, another ASR model or another resampler give plausible numbers that are wrong.
`known_answers.json` has the output of each known revision for three clips of the demo corpus. The output of an unknown
revision is only checked for plausibility, and the result records that.
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
from valle.evaluation.metrics.models import MetricModels
from valle.evaluation.metrics.score import cosine
from valle.text.errors import count_word_errors
from valle.text.normalise import get_normaliser
from warehouse.errors import DependencyError

SAME_SPEAKER = ("bm_fable_s118", "bm_fable_s123")
OTHER_SPEAKER = ("bm_fable_s118", "am_adam_s102")
CLIP_TEXTS = {
    "bm_fable_s118": "Turn right at the library, then walk for two minutes.",
    "am_adam_s102": "The train to London leaves from platform four in five minutes.",
}
"""The clips for ASR and their texts."""

_COSINE_TOLERANCE = 1e-3
_QUALITY_TOLERANCE = 0.05
_PLAUSIBLE_ERROR_RATE = 0.5


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """The result of the check of one model: without `is_valid`, none of its scores can be used.

    `has_known_answer` is False for a revision without stored output.
    """

    metric: str
    revision: str
    is_valid: bool
    has_known_answer: bool
    detail: str


def known_answers() -> dict[str, dict[str, Any]]:
    """Return the stored outputs by model revision."""
    content = files("valle.evaluation.metrics").joinpath("known_answers.json").read_text(encoding="utf-8")
    return dict(json.loads(content))


def check_models(
    models: MetricModels, backends: Backends, *, known: Mapping[str, Mapping[str, Any]] | None = None
) -> list[ModelCheck]:
    """Check every model; `known` are the stored outputs, by default those of the package."""
    answers = known_answers() if known is None else known
    checks = [
        _check(
            "ASR",
            transcriber_revision(models.asr),
            transcribe_clips(models.asr, backends),
            answers,
            _transcription_fault,
        ),
        _check(
            "speaker encoder",
            speaker_encoder_revision(models.speaker_encoder),
            compare_clips(models.speaker_encoder, backends),
            answers,
            _cosine_fault,
        ),
    ]
    for name in models.scorers:
        scores = score_clip(name, backends)
        checks.append(_check("naturalness", quality_scorer_revision(name), scores, answers, _quality_fault))
    return checks


def require_valid_models(models: MetricModels, backends: Backends) -> list[ModelCheck]:
    """Return the checks when all are valid. Raise DependencyError that describes the first invalid one."""
    checks = check_models(models, backends)
    for check in checks:
        if not check.is_valid:
            raise DependencyError(
                f"The {check.metric} {check.revision} fails its check ({check.detail}), so its scores would be wrong; "
                "install its weights and libraries again."
            )
    return checks


def transcribe_clips(name: str, backends: Backends) -> dict[str, str]:
    """Return the transcriptions of an ASR model, by clip."""
    transcriptions = backends.transcriber(name).transcribe([_clip(clip, ASR_RATE) for clip in CLIP_TEXTS], "en")
    return {clip: result.text for clip, result in zip(CLIP_TEXTS, transcriptions, strict=True)}


def compare_clips(name: str, backends: Backends) -> dict[str, float]:
    """Return the cosines of two clips of one speaker, and of two speakers."""
    encoder = backends.speaker_encoder(name)
    clips = sorted({*SAME_SPEAKER, *OTHER_SPEAKER})
    embeddings = dict(zip(clips, encoder.embed([_clip(clip, SPEAKER_RATE) for clip in clips]), strict=True))
    return {
        "same": cosine(*(embeddings[clip] for clip in SAME_SPEAKER)),
        "other": cosine(*(embeddings[clip] for clip in OTHER_SPEAKER)),
    }


def score_clip(name: str, backends: Backends) -> dict[str, float]:
    """Return the quality scores of one clip."""
    (scores,) = backends.quality_scorer(name).score([_clip(SAME_SPEAKER[0], QUALITY_RATE)])
    return dict(scores)


def _clip(name: str, sample_rate: int) -> Samples:
    return read_audio(AudioLocation(str(demo_folder() / "audio" / f"{name}.ogg")), sample_rate).samples


def _check(
    metric: str,
    revision: str,
    output: Mapping[str, Any],
    known: Mapping[str, Mapping[str, Any]],
    find_fault: Callable[[Mapping[str, Any], Mapping[str, Any] | None], str],
) -> ModelCheck:
    fault = find_fault(output, known.get(revision))
    has_known_answer = revision in known
    success = "gives the stored output" if has_known_answer else "has no stored output; its output is plausible"
    return ModelCheck(metric, revision, not fault, has_known_answer, fault or success)


def _transcription_fault(output: Mapping[str, Any], known: Mapping[str, Any] | None) -> str:
    normalise = get_normaliser("valle-en")
    for clip, text in output.items():
        # Normalised, because punctuation may change with the version of the decoder.
        if known is not None and normalise(text) != normalise(known[clip]):
            return f"it transcribes {clip} as {text!r} where {known[clip]!r} is stored"
        errors = count_word_errors(normalise(CLIP_TEXTS[clip]), normalise(text))
        if errors.errors > _PLAUSIBLE_ERROR_RATE * errors.length:
            return f"it transcribes {clip} as {text!r}, whose text is {CLIP_TEXTS[clip]!r}"
    return ""


def _cosine_fault(output: Mapping[str, Any], known: Mapping[str, Any] | None) -> str:
    for pair, value in output.items():
        # `not ... <=`, because every comparison with NaN is false.
        if known is not None and not abs(value - known[pair]) <= _COSINE_TOLERANCE:
            return f"the cosine of the {pair} speaker is {value:.4f} where {known[pair]:.4f} is stored"
    # An encoder without its weights gives nearly equal embeddings for all clips.
    if not output["same"] > output["other"]:
        return f"two speakers ({output['other']:.3f}) are as similar as one ({output['same']:.3f})"
    return ""


def _quality_fault(output: Mapping[str, Any], known: Mapping[str, Any] | None) -> str:
    for name, value in output.items():
        if known is not None and not abs(value - known[name]) <= _QUALITY_TOLERANCE:
            return f"{name} is {value:.3f} where {known[name]:.3f} is stored"
        if not 1.0 <= value <= 5.0:
            return f"{name} is {value:.3f}, outside 1 to 5"
    return ""
