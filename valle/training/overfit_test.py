"""The self-test of the network: learn two clips of the demo corpus by heart, then say them in every way.

A model that cannot do that has a fault in layout, masks, loss or decoding, whatever its losses on large data are.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from valle.training.schedule import learning_rate

_CHECK_EVERY = 25
_PROMPT_SECONDS = 1.0
_SECONDS = (1.5, 3.5)
"""Shortest and longest clip."""


@dataclass(frozen=True, slots=True)
class SelfTestOptions:
    """How long to learn, with which model; `out` is where the speech goes."""

    out: Path
    size: str = "7m"
    num_clips: int = 2
    max_steps: int = 400
    learning_rate: float = 2e-3
    wanted_accuracy: float = 0.99


@dataclass(frozen=True, slots=True)
class Lesson:
    """One clip to learn: what it says, and the codes of it and of a prompt in its voice, [K, T] each."""

    clip: DemoClip
    symbol_ids: np.ndarray
    prompt: Codes
    target: Codes

    def row(self, codebook: int, masked: np.ndarray | None = None) -> Row:
        """Make the training row of one codebook."""
        return TTS.row(self.symbol_ids, 1, codebook, self.prompt, self.target[: codebook + 1], masked)

    @property
    def condition(self) -> Condition:
        """What it is spoken from."""
        return Condition(self.symbol_ids, 1, self.prompt, self.target[:, :0])


@dataclass(frozen=True, slots=True)
class Spoken:
    """One clip said in one way: share of its codes that are right, what ASR heard, and the word error rate."""

    clip: str
    way: str
    accuracy: float
    heard: str
    word_error_rate: float
    path: Path


@dataclass(frozen=True, slots=True)
class SelfTestResult:
    """Share of codes that are predicted right from the true ones, by mode, and what was said."""

    accuracies: Mapping[str, float]
    spoken: Sequence[Spoken]
    steps: int
    seconds: float

    def is_passed(self, accuracy: float = 0.99, word_error_rate: float = 0.1) -> bool:
        """Whether every mode has learnt the clips and everything that was said is understood."""
        is_learnt = all(value >= accuracy for value in self.accuracies.values())
        return is_learnt and all(one.word_error_rate <= word_error_rate for one in self.spoken)


def read_lessons(backends: Backends, count: int) -> list[Lesson]:
    """Clips of different voices from the demo corpus, each with another clip of its voice as prompt."""
    codec, table = backends.codec("mini"), phoneme_table()
    by_speaker: dict[str, list[DemoClip]] = {}
    for clip in demo_clips():
        if _SECONDS[0] <= clip.duration <= _SECONDS[1]:
            by_speaker.setdefault(clip.speaker, []).append(clip)
    pairs = [clips[:2] for clips in by_speaker.values() if len(clips) > 1][:count]
    texts = backends.phonemizer("espeak").phonemize([clip.text for clip, _ in pairs], "en")
    lessons = []
    for (clip, other), symbols in zip(pairs, texts, strict=True):
        waves = [read_audio(AudioLocation(str(one.path)), codec.spec.sample_rate).samples for one in (clip, other)]
        target, prompt = codec.encode(waves)
        frames = round(_PROMPT_SECONDS * codec.spec.frame_rate)
        lessons.append(Lesson(clip, np.array(table.encode(symbols)), prompt[:, :frames], target))
    return lessons


def _batches(
    lessons: Sequence[Lesson], config: ModelConfig, rng: np.random.Generator
) -> Iterator[tuple[Mode, list[Row]]]:
    """Rows of one mode after the other, forever: half for codebook 0 from masks, as those differ every time."""
    while True:
        yield Mode.AR, [lesson.row(0) for lesson in lessons]
        codebooks = rng.permutation(np.arange(1, config.num_codebooks))[:2]
        yield Mode.NAR, [lesson.row(int(codebook)) for lesson in lessons for codebook in codebooks]
        for _ in range(2):
            ratio = np.cos(np.pi / 2 * rng.random())
            masks = [rng.random(lesson.target.shape[1]) < max(ratio, 0.05) for lesson in lessons]
            yield Mode.NAR_LEN, [lesson.row(0, mask) for lesson, mask in zip(lessons, masks, strict=True)]


@torch.inference_mode()
def accuracies(model: ValleModel, lessons: Sequence[Lesson]) -> dict[str, float]:
    """Share of codes whose likeliest prediction is right, by mode: from true codes, and from masks alone in NAR-len."""
    model.eval()
    rows = {
        Mode.AR: [lesson.row(0) for lesson in lessons],
        Mode.NAR_LEN: [lesson.row(0, np.ones(lesson.target.shape[1], dtype=bool)) for lesson in lessons],
        Mode.NAR: [lesson.row(codebook) for lesson in lessons for codebook in range(1, model.config.num_codebooks)],
    }
    shares = {}
    for mode, chosen in rows.items():
        batch = make_batch(TTS.layout(mode), chosen, model.config)
        shares[str(mode)] = float((model(batch).argmax(-1) == batch.labels).float().mean())
    return shares


def overfit(
    lessons: Sequence[Lesson],
    spec: CodecSpec,
    options: SelfTestOptions,
    *,
    listener: Callable[[int, Mapping[str, float]], None] = lambda step, shares: None,
) -> tuple[ValleModel, int]:
    """A model that knows the lessons, and the updates it took; `listener` hears of its accuracies now and then."""
    torch.manual_seed(0)
    frames = sum(lesson.target.shape[1] for lesson in lessons)
    symbols = sum(len(lesson.symbol_ids) for lesson in lessons)
    config = preset(
        options.size, spec, num_symbols=len(phoneme_table()), languages=["en"], text_stride=round(frames / symbols, 2)
    )
    model = ValleModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.96), weight_decay=0.0)
    batches = _batches(lessons, config, np.random.default_rng(0))
    for step in range(1, options.max_steps + 1):
        mode, rows = next(batches)
        batch = make_batch(TTS.layout(mode), rows, config)
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
            shares = accuracies(model, lessons)
            listener(step, shares)
            if min(shares.values()) >= options.wanted_accuracy:
                return model.eval(), step
    return model.eval(), options.max_steps


def run_self_test(
    options: SelfTestOptions,
    backends: Backends,
    *,
    listener: Callable[[int, Mapping[str, float]], None] = lambda step, shares: None,
) -> SelfTestResult:
    """Learn the clips, say them by AR and NAR and by NAR-len and NAR, and let ASR judge. Writes the speech."""
    started = time.monotonic()
    codec = backends.codec("mini")
    lessons = read_lessons(backends, options.num_clips)
    model, steps = overfit(lessons, codec.spec, options, listener=listener)
    spoken: list[Spoken] = []
    for way in ("ar", "nar-len"):
        sampling = [_sampling(way, lesson.target.shape[1] / codec.spec.frame_rate) for lesson in lessons]
        decoded = decode(model, [lesson.condition for lesson in lessons], sampling)
        for lesson, one in zip(lessons, decoded, strict=True):
            spoken.append(_judge(lesson, way, one.codes, options.out, backends))
    return SelfTestResult(accuracies(model, lessons), spoken, steps, time.monotonic() - started)


def _sampling(way: str, seconds: float) -> SamplingOptions:
    if way == "ar":
        return SamplingOptions(temperature=0)
    return SamplingOptions(decoding="nar-len", temperature=0, seconds=seconds, masked=MaskedOptions(steps=16))


def _judge(lesson: Lesson, way: str, codes: Codes, out: Path, backends: Backends) -> Spoken:
    codec = backends.codec("mini")
    frames = min(codes.shape[1], lesson.target.shape[1])
    is_right = codes[:, :frames] == lesson.target[:, :frames]
    accuracy = float(is_right.sum()) / max(codes.shape[1], lesson.target.shape[1]) / len(codes)
    path = out / f"{lesson.clip.id}_{way}.wav"
    samples = codec.decode([codes])[0] if codes.shape[1] else np.zeros(0, dtype=np.float32)
    out.mkdir(parents=True, exist_ok=True)
    write_audio(path, Audio(samples, codec.spec.sample_rate))
    heard = ""
    if len(samples):
        wave = resample(samples, codec.spec.sample_rate, 16_000)
        heard = backends.transcriber("tiny.en").transcribe([wave], "en", careful=True)[0].text
    normalise = get_normaliser()
    errors = count_word_errors(normalise(lesson.clip.text), normalise(heard))
    return Spoken(lesson.clip.id, way, accuracy, heard, errors.rate, path)
