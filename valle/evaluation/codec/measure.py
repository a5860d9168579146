"""Resynthesis of clips by a codec, at several numbers of codebooks, and what the judges say of it."""

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
from valle.backends.speaker.base import SAMPLE_RATE as JUDGES_RATE
from valle.codec.base import Codec, CodecSpec, Codes
from valle.evaluation.codec.fidelity import RATE, intelligibility, log_mel_distance
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.defects import find_silence
from valle.evaluation.metrics.score import Embedding, Opinions, Output, ScoringRun, Voices, score
from valle.evaluation.plan import Judges
from warehouse.rows import ScoreRow

ORIGINAL = "ground_truth"


@dataclass(frozen=True, slots=True)
class CodebookUse:
    """Entries of a codebook that occur, and the entropy of its codes in bits."""

    num_entries: int
    entropy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Seconds of audio per second of processor time."""

    encode: float
    decode: float
    both: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecMeasurement:
    """What was found: rows of scores (the originals are system `ground_truth`), use of the codebooks, and speed."""

    spec: CodecSpec
    num_frames: int
    uses: tuple[CodebookUse, ...]
    speed: Speed
    rows: tuple[ScoreRow, ...]


def system_name(codec: str, levels: int) -> str:
    """The system of a codec with so many codebooks; by its first word it counts as a control, never as a contender."""
    return f"codec_{codec}_{levels}"


def measure_use(codes: Sequence[Codes], codebook_size: int) -> tuple[CodebookUse, ...]:
    """How much of each codebook is used."""
    uses = []
    for level in np.concatenate(list(codes), axis=1):
        counts = np.bincount(level, minlength=codebook_size)
        shares = counts[counts > 0] / counts.sum()
        uses.append(CodebookUse(len(shares), float(-(shares * np.log2(shares)).sum())))
    return tuple(uses)


def measure_speed(codec: Codec, waveforms: Sequence[Samples]) -> Speed:
    """Processor time of encoding and decoding, after one clip of warming up."""
    seconds = sum(map(len, waveforms)) / codec.spec.sample_rate
    codec.decode(codec.encode(waveforms[:1]))
    started = time.process_time()
    codes = codec.encode(waveforms)
    encoded = time.process_time()
    codec.decode(codes)
    decoded = time.process_time()
    return Speed(
        encode=seconds / max(1e-9, encoded - started),
        decode=seconds / max(1e-9, decoded - encoded),
        both=seconds / max(1e-9, decoded - started),
    )


def measure_codec(
    items: Sequence[EvaluationItem],
    codec_name: str,
    levels: Sequence[int],
    *,
    evaluation: str,
    speech: Path,
    judges: Judges,
    backends: Backends,
    now: datetime,
) -> CodecMeasurement:
    """Encode the recordings of `items`, decode them at each of `levels` codebooks into `speech`, and judge all.

    Every item must have a recording; unreadable ones raise UnreadableAudio.
    """
    codec = backends.codec(codec_name)
    rate = codec.spec.sample_rate
    originals = [read_audio(item.location, rate).samples for item in items if item.location is not None]
    assert len(originals) == len(items), "a resynthesis needs recordings"
    codes = codec.encode(originals)
    versions = {ORIGINAL: originals}
    for count in levels:
        decoded = codec.decode([array[:count] for array in codes])
        versions[system_name(codec_name, count)] = [
            waveform[: len(original)] for waveform, original in zip(decoded, originals, strict=True)
        ]
    outputs = {
        system: _judge(system, waveforms, items, rate=rate, speech=speech, judges=judges, backends=backends)
        for system, waveforms in versions.items()
    }
    voices = Voices(recorded=_voices(outputs[ORIGINAL]))
    rows: list[ScoreRow] = []
    for system, made in outputs.items():
        run = ScoringRun(
            evaluation=evaluation,
            system=system,
            checkpoint_id=None,
            asr_model=transcriber_revision(judges.asr),
            speaker_model=speaker_encoder_revision(judges.speaker_encoder),
            scored_at=now,
            normaliser=judges.normaliser,
        )
        scored = score(items, made, voices=voices, run=run)
        rows += [
            replace(
                row,
                stoi=intelligibility(original, waveform, rate),
                log_mel_distance=log_mel_distance(resample(original, rate, RATE), resample(waveform, rate, RATE)),
            )
            for row, original, waveform in zip(scored, originals, versions[system], strict=True)
        ]
    return CodecMeasurement(
        spec=codec.spec,
        num_frames=sum(array.shape[1] for array in codes),
        uses=measure_use(codes, codec.spec.codebook_size),
        speed=measure_speed(codec, originals),
        rows=tuple(rows),
    )


def _voices(outputs: Sequence[Output]) -> Mapping[str, Embedding]:
    return {output.utterance: output.embedding for output in outputs if output.embedding is not None}


def _judge(
    system: str,
    waveforms: Sequence[Samples],
    items: Sequence[EvaluationItem],
    *,
    rate: int,
    speech: Path,
    judges: Judges,
    backends: Backends,
) -> list[Output]:
    judged = [resample(waveform, rate, JUDGES_RATE) for waveform in waveforms]
    heard = _hear(judged, items, judges.asr, backends)
    embeddings = backends.speaker_encoder(judges.speaker_encoder).embed(judged)
    opinions: list[dict[str, float]] = [{} for _ in items]
    for name in judges.scorers:
        for known, more in zip(opinions, backends.quality_scorer(name).score(judged), strict=True):
            known.update(more)
    model = ",".join(quality_scorer_revision(name) for name in judges.scorers) or None
    outputs = []
    for index, item in enumerate(items):
        path = speech / system / f"{item.utterance}.flac"
        audio = Audio(waveforms[index], rate)
        write_audio(path, audio)
        outputs.append(
            Output(
                utterance=item.utterance,
                trial=item.trial,
                path=str(path),
                duration=len(waveforms[index]) / rate,
                heard=heard[index],
                embedding=embeddings[index],
                silence=find_silence(audio),
                opinions=Opinions(
                    model=model,
                    dnsmos_ovrl=opinions[index].get("dnsmos_ovrl"),
                    dnsmos_p808=opinions[index].get("dnsmos_p808"),
                    distillmos=opinions[index].get("distillmos"),
                ),
            )
        )
    return outputs


def _hear(waveforms: Sequence[Samples], items: Sequence[EvaluationItem], asr: str, backends: Backends) -> list[str]:
    heard = [""] * len(items)
    for language in sorted({item.language for item in items}):
        chosen = [index for index, item in enumerate(items) if item.language == language]
        transcripts = backends.transcriber(asr).transcribe(
            [waveforms[index] for index in chosen], language, careful=True
        )
        for index, transcript in zip(chosen, transcripts, strict=True):
            heard[index] = transcript.text
    return heard
