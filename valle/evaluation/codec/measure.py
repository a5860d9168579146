"""Measure a codec: resynthesize clips with several numbers of codebooks and score them beside the recordings."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from valle.audio import Audio, Samples, read_audio, resample, write_audio
from valle.backends.asr import transcriber_revision
from valle.backends.quality import quality_scorer_revision
from valle.backends.registry import Backends
from valle.backends.speaker import speaker_encoder_revision
from valle.backends.speaker.base import SAMPLE_RATE as MODEL_RATE
from valle.codec.base import Codec, CodecSpec, Codes
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.defects import find_silence
from valle.evaluation.metrics.fidelity import FIDELITY_RATE, intelligibility, log_mel_distance
from valle.evaluation.metrics.models import MetricModels
from valle.evaluation.metrics.score import (
    Embedding,
    Output,
    PromptEmbeddings,
    QualityScores,
    ScoringRun,
    has_words,
    score,
)
from valle.evaluation.systems.base import CODEC, GROUND_TRUTH
from warehouse.errors import ConfigurationError
from warehouse.model_rows import ScoreRow


@dataclass(frozen=True, slots=True)
class CodebookUse:
    """The number of entries of a codebook that occur, and the entropy of its codes in bits."""

    num_entries: int
    entropy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecSpeed:
    """Seconds of audio per second of processor time."""

    encode: float
    decode: float
    both: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecMeasurement:
    """Scores of a codec, use of its codebooks and its speed. The rows of the recordings are system `ground_truth`.

    `excluded` are the clips whose text has no word under the normaliser.
    """

    spec: CodecSpec
    num_frames: int
    uses: tuple[CodebookUse, ...]
    speed: CodecSpeed
    look_ahead: float
    """Seconds of later speech that a stream needs before it emits a frame."""
    rows: tuple[ScoreRow, ...]
    excluded: tuple[str, ...] = ()


def codebook_counts(spec: CodecSpec, wanted: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the numbers of codebooks to decode from, most first: those `wanted`, at most all that the codec has.

    By default all, a half, a quarter and an eighth of them.
    """
    counts = wanted or [max(1, spec.num_codebooks // part) for part in (1, 2, 4, 8)]
    return tuple(sorted({min(count, spec.num_codebooks) for count in counts}, reverse=True))


def system_name(codec: str, num_codebooks: int) -> str:
    """Return the system of a codec at a number of codebooks; the prefix makes it a control, not a model."""
    return f"{CODEC}_{codec}_{num_codebooks}"


def measure_use(codes: Sequence[Codes], codebook_size: int) -> tuple[CodebookUse, ...]:
    """Measure the use of each codebook in codes [K, T]."""
    uses = []
    for codebook in np.concatenate(list(codes), axis=1):
        counts = np.bincount(codebook, minlength=codebook_size)
        shares = counts[counts > 0] / counts.sum()
        uses.append(CodebookUse(len(shares), float(-(shares * np.log2(shares)).sum())))
    return tuple(uses)


def measure_speed(codec: Codec, waveforms: Sequence[Samples]) -> CodecSpeed:
    """Measure processor time of encoding and decoding, after one clip of warm-up."""
    seconds = sum(map(len, waveforms)) / codec.spec.sample_rate
    codec.decode(codec.encode(waveforms[:1]))
    # Processor time, which other processes of the machine do not change.
    started = time.process_time()
    codes = codec.encode(waveforms)
    encoded = time.process_time()
    codec.decode(codes)
    decoded = time.process_time()
    return CodecSpeed(
        encode=seconds / max(1e-9, encoded - started),
        decode=seconds / max(1e-9, decoded - encoded),
        both=seconds / max(1e-9, decoded - started),
    )


def measure_codec(
    items: Sequence[EvaluationItem],
    codec_name: str,
    counts: Sequence[int],
    *,
    evaluation: str,
    speech: Path,
    models: MetricModels,
    backends: Backends,
    now: datetime,
) -> CodecMeasurement:
    """Encode the recordings of `items`, decode each number of codebooks into `speech`, and score all.

    Every item must have a recording; an unreadable one raises UnreadableAudio. Raise ConfigurationError when the
    normaliser leaves no word of any text.
    """
    scored = [item for item in items if has_words(item, models.normaliser)]
    if not scored:
        raise ConfigurationError(f"The normaliser {models.normaliser} leaves no word of any text; choose other clips.")
    codec = backends.codec(codec_name)
    rate = codec.spec.sample_rate
    originals = [read_audio(item.location, rate).samples for item in scored if item.location is not None]
    assert len(originals) == len(scored), "a resynthesis needs recordings"
    codes = codec.encode(originals)
    versions = {GROUND_TRUTH: originals} | {
        system_name(codec_name, count): _decode(codec, codes, count, originals) for count in counts
    }
    outputs = {
        system: _measure_outputs(
            waveforms, scored, rate=rate, directory=speech / system, models=models, backends=backends
        )
        for system, waveforms in versions.items()
    }
    prompts = PromptEmbeddings(recorded=_embeddings(outputs[GROUND_TRUTH]))
    rows: list[ScoreRow] = []
    for system, made in outputs.items():
        scores = score(scored, made, prompts=prompts, run=_scoring_run(evaluation, system, models, now))
        rows += _with_fidelity(scores, originals, versions[system], rate)
    return CodecMeasurement(
        spec=codec.spec,
        num_frames=sum(array.shape[1] for array in codes),
        uses=measure_use(codes, codec.spec.codebook_size),
        speed=measure_speed(codec, originals),
        look_ahead=codec.stream().latency_frames / codec.spec.frame_rate,
        rows=tuple(rows),
        excluded=tuple(item.utterance for item in items if item not in scored),
    )


def _decode(codec: Codec, codes: Sequence[Codes], num_codebooks: int, originals: Sequence[Samples]) -> list[Samples]:
    decoded = codec.decode([array[:num_codebooks] for array in codes])
    # A codec pads to whole frames.
    return [waveform[: len(original)] for waveform, original in zip(decoded, originals, strict=True)]


def _scoring_run(evaluation: str, system: str, models: MetricModels, now: datetime) -> ScoringRun:
    return ScoringRun(
        evaluation=evaluation,
        system=system,
        checkpoint_id=None,
        asr_model=transcriber_revision(models.asr),
        speaker_model=speaker_encoder_revision(models.speaker_encoder),
        scored_at=now,
        normaliser=models.normaliser,
    )


def _with_fidelity(
    rows: Sequence[ScoreRow], originals: Sequence[Samples], waveforms: Sequence[Samples], rate: int
) -> list[ScoreRow]:
    """Add the measures that need no model, and are computed against the recording."""
    return [
        replace(
            row,
            stoi=intelligibility(original, waveform, rate),
            log_mel_distance=log_mel_distance(
                resample(original, rate, FIDELITY_RATE), resample(waveform, rate, FIDELITY_RATE)
            ),
        )
        for row, original, waveform in zip(rows, originals, waveforms, strict=True)
    ]


def _embeddings(outputs: Sequence[Output]) -> Mapping[str, Embedding]:
    return {output.utterance: output.embedding for output in outputs if output.embedding is not None}


def _measure_outputs(
    waveforms: Sequence[Samples],
    items: Sequence[EvaluationItem],
    *,
    rate: int,
    directory: Path,
    models: MetricModels,
    backends: Backends,
) -> list[Output]:
    """Write the waveforms of one system into `directory` and apply the metric models to them."""
    resampled = [resample(waveform, rate, MODEL_RATE) for waveform in waveforms]
    transcriptions = _transcribe(resampled, items, models.asr, backends)
    embeddings = backends.speaker_encoder(models.speaker_encoder).embed(resampled)
    quality = _score_quality(resampled, models.scorers, backends)
    outputs = []
    for index, item in enumerate(items):
        path = directory / f"{item.utterance}.flac"
        audio = Audio(waveforms[index], rate)
        write_audio(path, audio)
        outputs.append(
            Output(
                utterance=item.utterance,
                trial=item.trial,
                path=str(path),
                duration=len(waveforms[index]) / rate,
                transcription=transcriptions[index],
                embedding=embeddings[index],
                silence=find_silence(audio),
                quality=quality[index],
            )
        )
    return outputs


def _score_quality(waveforms: Sequence[Samples], scorers: Sequence[str], backends: Backends) -> list[QualityScores]:
    by_clip: list[dict[str, float]] = [{} for _ in waveforms]
    for name in scorers:
        for scores, added in zip(by_clip, backends.quality_scorer(name).score(waveforms), strict=True):
            scores.update(added)
    model = ",".join(quality_scorer_revision(name) for name in scorers) or None
    return [
        QualityScores(
            model=model,
            dnsmos_ovrl=scores.get("dnsmos_ovrl"),
            dnsmos_p808=scores.get("dnsmos_p808"),
            distillmos=scores.get("distillmos"),
        )
        for scores in by_clip
    ]


def _transcribe(
    waveforms: Sequence[Samples], items: Sequence[EvaluationItem], asr: str, backends: Backends
) -> list[str]:
    texts = [""] * len(items)
    for language in sorted({item.language for item in items}):
        indices = [index for index, item in enumerate(items) if item.language == language]
        # With beams: a greedy decode that repeats itself would count against the codec.
        transcriptions = backends.transcriber(asr).transcribe(
            [waveforms[index] for index in indices], language, careful=True
        )
        for index, transcription in zip(indices, transcriptions, strict=True):
            texts[index] = transcription.text
    return texts
