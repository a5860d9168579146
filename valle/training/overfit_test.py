"""Self-test of the network: `python -m valle.training.overfit_test [FOLDER]` overfits two clips and synthesizes them.

A model that cannot do that has a fault in layout, masks, loss or decoding, regardless of its losses on large data. It
needs about ten minutes on a CPU.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from manifests.demo.clips import DemoClip, demo_clips
from valle.audio import Audio, AudioLocation, read_audio, resample, write_audio
from valle.backends.registry import Backends
from valle.codec.base import CodecSpec, Codes
from valle.model.batch import make_batch
from valle.model.config import ModelConfig, preset
from valle.model.layout import Mode
from valle.model.loss import sequence_loss
from valle.model.row import Row
from valle.model.valle import ValleModel
from valle.phonemes import phoneme_table
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import MaskedOptions, SamplingOptions
from valle.tasks.tts import TTS
from valle.text.errors import count_word_errors
from valle.text.normalise import get_normaliser
from valle.training.engines.schedule import learning_rate

log = logging.getLogger(__name__)

Decoding = Literal["ar", "nar-len"]
OnCheck = Callable[[int, Mapping[str, float]], None]

_CHECK_EVERY = 25
_PROMPT_SECONDS = 1.0
# Shortest and longest clip.
_SECONDS = (1.5, 3.5)


@dataclass(frozen=True, slots=True)
class OverfitOptions:
    """Model size, number of clips and length of the training; `out` is the folder of the synthesized speech."""

    out: Path
    size: str = "7m"
    num_clips: int = 2
    max_steps: int = 400
    learning_rate: float = 2e-3
    target_accuracy: float = 0.99


@dataclass(frozen=True, slots=True)
class OverfitClip:
    """A clip to overfit: symbols, and the codes of the clip and of a prompt of its speaker, [K, T] each."""

    clip: DemoClip
    symbol_ids: np.ndarray
    prompt: Codes
    target: Codes

    def row(self, codebook: int, masked: np.ndarray | None = None) -> Row:
        """Make the training row of one codebook."""
        return TTS.row(self.symbol_ids, 1, codebook, self.prompt, self.target[: codebook + 1], masked)

    @property
    def condition(self) -> Condition:
        """Return the condition for synthesis."""
        return Condition(self.symbol_ids, 1, self.prompt, self.target[:, :0])


@dataclass(frozen=True, slots=True)
class ClipSynthesis:
    """A synthesized clip: fraction of correct codes, ASR transcription and word error rate."""

    clip: str
    decoding: Decoding
    accuracy: float
    transcription: str
    word_error_rate: float
    path: Path


@dataclass(frozen=True, slots=True)
class OverfitResult:
    """Fraction of codes predicted correctly from the true ones, by mode, and the synthesized clips."""

    accuracies: Mapping[str, float]
    syntheses: Sequence[ClipSynthesis]
    steps: int
    seconds: float

    def is_passed(self, accuracy: float = 0.99, word_error_rate: float = 0.1) -> bool:
        """Return whether every mode has learned the clips and every synthesis is transcribed correctly."""
        is_learned = all(value >= accuracy for value in self.accuracies.values())
        return is_learned and all(synthesis.word_error_rate <= word_error_rate for synthesis in self.syntheses)


def read_clips(backends: Backends, count: int) -> list[OverfitClip]:
    """Read clips of different speakers from the demo corpus, each with another clip of its speaker as prompt."""
    codec, table = backends.codec("mini"), phoneme_table()
    by_speaker: dict[str, list[DemoClip]] = {}
    for clip in demo_clips():
        if _SECONDS[0] <= clip.duration <= _SECONDS[1]:
            by_speaker.setdefault(clip.speaker, []).append(clip)
    pairs = [clips[:2] for clips in by_speaker.values() if len(clips) > 1][:count]
    texts = backends.phonemizer("espeak").phonemize([clip.text for clip, _ in pairs], "en")
    clips = []
    for pair, symbols in zip(pairs, texts, strict=True):
        waves = [read_audio(AudioLocation(str(clip.path)), codec.spec.sample_rate).samples for clip in pair]
        target, prompt = codec.encode(waves)
        frames = round(_PROMPT_SECONDS * codec.spec.frame_rate)
        clips.append(OverfitClip(pair[0], np.array(table.encode(symbols)), prompt[:, :frames], target))
    return clips


def _batches(
    clips: Sequence[OverfitClip], config: ModelConfig, rng: np.random.Generator
) -> Iterator[tuple[Mode, list[Row]]]:
    """Yield rows of one mode at a time, forever; half are NAR-len, because its masks differ every time."""
    while True:
        yield Mode.AR, [clip.row(0) for clip in clips]
        codebooks = rng.permutation(np.arange(1, config.num_codebooks))[:2]
        yield Mode.NAR, [clip.row(int(codebook)) for clip in clips for codebook in codebooks]
        for _ in range(2):
            ratio = np.cos(np.pi / 2 * rng.random())
            masks = [rng.random(clip.target.shape[1]) < max(ratio, 0.05) for clip in clips]
            yield Mode.NAR_LEN, [clip.row(0, mask) for clip, mask in zip(clips, masks, strict=True)]


@torch.inference_mode()
def accuracies(model: ValleModel, clips: Sequence[OverfitClip]) -> dict[str, float]:
    """Compute the fraction of correct greedy predictions by mode: from true codes, and from masks alone in NAR-len."""
    model.eval()
    rows_by_mode = {
        Mode.AR: [clip.row(0) for clip in clips],
        Mode.NAR_LEN: [clip.row(0, np.ones(clip.target.shape[1], dtype=bool)) for clip in clips],
        Mode.NAR: [clip.row(codebook) for clip in clips for codebook in range(1, model.config.num_codebooks)],
    }
    result = {}
    for mode, rows in rows_by_mode.items():
        batch = make_batch(TTS.layout(mode), rows, model.config)
        result[str(mode)] = float((model(batch).argmax(-1) == batch.labels).float().mean())
    return result


def overfit(
    clips: Sequence[OverfitClip],
    spec: CodecSpec,
    options: OverfitOptions,
    *,
    on_check: OnCheck = lambda step, accuracy: None,
) -> tuple[ValleModel, int]:
    """Train a model on the clips until it is accurate enough; returns it and the number of updates.

    `on_check` receives the step and the accuracies by mode every few steps.
    """
    torch.manual_seed(0)
    frames = sum(clip.target.shape[1] for clip in clips)
    symbols = sum(len(clip.symbol_ids) for clip in clips)
    config = preset(
        options.size, spec, num_symbols=len(phoneme_table()), languages=["en"], text_stride=round(frames / symbols, 2)
    )
    model = ValleModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.96), weight_decay=0.0)
    batches = _batches(clips, config, np.random.default_rng(0))
    for step in range(1, options.max_steps + 1):
        mode, rows = next(batches)
        batch = make_batch(TTS.layout(mode), rows, model.config)
        model.train()
        torch.autograd.backward(sequence_loss(model(batch), batch).total / max(1, batch.num_labels))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(
                step, peak=options.learning_rate, warmup_steps=20, max_steps=options.max_steps, final_share=0.02
            )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % _CHECK_EVERY == 0:
            by_mode = accuracies(model, clips)
            on_check(step, by_mode)
            if min(by_mode.values()) >= options.target_accuracy:
                return model.eval(), step
    return model.eval(), options.max_steps


def run_overfit_test(
    options: OverfitOptions, backends: Backends, *, on_check: OnCheck = lambda step, accuracy: None
) -> OverfitResult:
    """Overfit the clips, synthesize them with AR and with NAR-len, transcribe and write the speech."""
    started = time.monotonic()
    codec = backends.codec("mini")
    clips = read_clips(backends, options.num_clips)
    model, steps = overfit(clips, codec.spec, options, on_check=on_check)
    syntheses: list[ClipSynthesis] = []
    decodings: tuple[Decoding, ...] = ("ar", "nar-len")
    for decoding in decodings:
        sampling = [_sampling(decoding, clip.target.shape[1] / codec.spec.frame_rate) for clip in clips]
        decoded = decode(model, [clip.condition for clip in clips], sampling)
        for clip, result in zip(clips, decoded, strict=True):
            syntheses.append(_check_synthesis(clip, decoding, result.codes, options.out, backends))
    return OverfitResult(accuracies(model, clips), syntheses, steps, time.monotonic() - started)


def _sampling(decoding: Decoding, seconds: float) -> SamplingOptions:
    if decoding == "ar":
        return SamplingOptions(temperature=0)
    return SamplingOptions(decoding="nar-len", temperature=0, seconds=seconds, masked=MaskedOptions(steps=16))


def _check_synthesis(
    clip: OverfitClip, decoding: Decoding, codes: Codes, out: Path, backends: Backends
) -> ClipSynthesis:
    codec = backends.codec("mini")
    frames = min(codes.shape[1], clip.target.shape[1])
    is_correct = codes[:, :frames] == clip.target[:, :frames]
    accuracy = float(is_correct.sum()) / max(codes.shape[1], clip.target.shape[1]) / len(codes)
    path = out / f"{clip.clip.id}_{decoding}.wav"
    samples = codec.decode([codes])[0] if codes.shape[1] else np.zeros(0, dtype=np.float32)
    out.mkdir(parents=True, exist_ok=True)
    write_audio(path, Audio(samples, codec.spec.sample_rate))
    transcription = ""
    if len(samples):
        wave = resample(samples, codec.spec.sample_rate, 16_000)
        transcription = backends.transcriber("tiny.en").transcribe([wave], "en", careful=True)[0].text
    normalise = get_normaliser()
    errors = count_word_errors(normalise(clip.clip.text), normalise(transcription))
    return ClipSynthesis(clip.clip.id, decoding, accuracy, transcription, errors.rate, path)


def _log_accuracies(step: int, by_mode: Mapping[str, float]) -> None:
    percentages = "  ".join(f"{mode} {accuracy:.1%}" for mode, accuracy in by_mode.items())
    log.info("step %d  correct codes: %s", step, percentages)


def main(arguments: Sequence[str]) -> int:
    """Run the self-test; 0 when it passes."""
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)  # only for this command; the backends log a lot
    torch.set_num_threads(1)
    out = Path(arguments[0] if arguments else "overfit_test")
    result = run_overfit_test(OverfitOptions(out=out), Backends(), on_check=_log_accuracies)
    for one in result.syntheses:
        scores = f"WER {one.word_error_rate:.1%}, {one.accuracy:.1%} of the codes correct"
        log.info("%s by %s: %s, transcribed as %r, %s", one.clip, one.decoding, scores, one.transcription, one.path)
    verdict = "passed" if result.is_passed() else "FAILED"
    log.info("%s after %d updates and %.0f s", verdict, result.steps, result.seconds)
    return 0 if result.is_passed() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
