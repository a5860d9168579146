"""Compare random and codec-aware initial embeddings of codes, for the same tokens.

`python benchmarks/code_embeddings.py [--updates 100] [--seeds 3] [--codes dac,nvidia,mini]`: the embedded corpus in
codes of `mini`; of a residual quantizer of DAC's shape (9 codebooks of 1024, k-means of `mini`'s latents); and of
grouped FSQ of the shape of NVIDIA's codec (8 groups of 8 x 5 x 5 x 5 levels, random directions of the latents). A
`nano` model learns each from random tables and from the vectors of the codec; both see the same rows in the same order.
Prints the loss in nats a code on speakers that were not trained on, of codebook 0 (AR) and of the others (NAR), as mean
and range over the seeds.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from manifests.demo.clips import HELD_OUT, DemoClip, demo_clips
from valle.audio import AudioLocation, read_audio
from valle.codec.base import CodecSpec, Codes
from valle.codec.mini.quantizer import ResidualQuantizer
from valle.codec.mini.weights_file import EMBEDDED, read_network
from valle.codec.nvidia.fsq import GroupedFsq
from valle.model.batch import Batch, make_batch
from valle.model.config import ModelConfig, preset
from valle.model.from_codec.initialization import init_code_embeddings
from valle.model.layout import Mode
from valle.model.loss import model_loss
from valle.model.valle import ValleModel
from valle.tasks.tts import TTS

FIRST_SYMBOL = 4
SYMBOLS = " abcdefghijklmnopqrstuvwxyz'"
ROWS = 8
HELD_OUT_CLIPS = 32
LEVELS = (8, 5, 5, 5)


@dataclass(frozen=True, slots=True)
class Utterance:
    """Symbol ids and latents [T, 64] of a clip."""

    symbols: np.ndarray
    latents: Tensor
    is_held_out: bool


@dataclass(frozen=True, slots=True)
class CodedSpeech:
    """Codes of all utterances by one codec, and the vectors [K, N, D] of its entries."""

    name: str
    codes: Sequence[Codes]
    codebooks: Tensor


def read_speech(count: int) -> list[Utterance]:
    """Return `count` clips of training speakers and some of held-out ones, as latents of `mini`."""
    clips = list(demo_clips())
    held_out = [clip for clip in clips if clip.split == HELD_OUT][:HELD_OUT_CLIPS]
    network, rate = read_network(EMBEDDED), 24_000

    @torch.inference_mode()
    def utterance(clip: DemoClip) -> Utterance:
        samples = read_audio(AudioLocation(str(clip.path)), rate).samples
        whole = torch.from_numpy(samples[: len(samples) // 320 * 320])
        ids = [FIRST_SYMBOL + SYMBOLS.index(letter) for letter in clip.text.lower() if letter in SYMBOLS]
        return Utterance(np.array(ids), network.encode(whole[None])[0], clip.split == HELD_OUT)

    trained = islice((clip for clip in clips if clip.split != HELD_OUT), count)
    return [utterance(clip) for clip in (*trained, *held_out)]


def split_codes(codes: Tensor, speech: Sequence[Utterance]) -> list[Codes]:
    """Return the codes [K, T_i] of each utterance from those of all frames [K, N]."""
    pieces = torch.split(codes, [len(utterance.latents) for utterance in speech], dim=1)
    return [piece.numpy().astype(np.int16) for piece in pieces]


def coded_by_mini(speech: Sequence[Utterance]) -> CodedSpeech:
    """Return codes of the embedded codec."""
    quantizer = read_network(EMBEDDED).quantizer
    codes = torch.cat([quantizer.encode(utterance.latents, num_beams=1) for utterance in speech], 1)
    return CodedSpeech("mini, 8 x 1024, residual", split_codes(codes, speech), quantizer.codebooks)


def coded_by_residual(speech: Sequence[Utterance]) -> CodedSpeech:
    """Return codes of DAC's shape, fitted to the training speakers."""
    quantizer = ResidualQuantizer(9, 1024, 64)
    trained = torch.cat([utterance.latents for utterance in speech if not utterance.is_held_out])
    quantizer.fit(trained, num_rounds=5, generator=torch.Generator().manual_seed(0))
    codes = quantizer.encode(torch.cat([utterance.latents for utterance in speech]), num_beams=1)
    return CodedSpeech("DAC's shape, 9 x 1024, residual", split_codes(codes, speech), quantizer.codebooks)


def coded_by_fsq(speech: Sequence[Utterance]) -> CodedSpeech:
    """Return codes of the shape of NVIDIA's codec: 32 random directions of the latents, at unit variance."""
    quantizer, generator = GroupedFsq(8, LEVELS), torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(64, 32, generator=generator)).Q
    projected = torch.cat([utterance.latents for utterance in speech]) @ directions
    projected = (projected - projected.mean(0)) / projected.std(0)
    codes = quantizer.encode(projected.T[None])[0]
    return CodedSpeech("NVIDIA's shape, 8 x 1000, grouped FSQ", split_codes(codes, speech), quantizer.codebooks)


def batch_of(
    mode: Mode,
    indices: np.ndarray,
    speech: Sequence[Utterance],
    coded: CodedSpeech,
    config: ModelConfig,
    rng: np.random.Generator,
) -> Batch:
    """Return rows of some utterances; a NAR row predicts a codebook that is drawn."""
    rows = []
    for index in indices:
        codebook = int(rng.integers(1, config.num_codebooks)) if mode is Mode.NAR else 0
        rows.append(TTS.row(speech[index].symbols, 1, codebook, None, coded.codes[index][: codebook + 1]))
    return make_batch(TTS.layout(mode), rows, config)


@torch.no_grad()
def held_out_loss(model: ValleModel, mode: Mode, speech: Sequence[Utterance], coded: CodedSpeech) -> float:
    """Return the mean loss in nats a code on the held-out speakers."""
    indices = np.array([index for index, utterance in enumerate(speech) if utterance.is_held_out])
    total, count, rng = 0.0, 0, np.random.default_rng(1)
    for chunk in np.array_split(indices, max(1, len(indices) // ROWS)):
        batch = batch_of(mode, chunk, speech, coded, model.config, rng)
        total += float(model_loss(model, batch).total)
        count += batch.num_labels
    return total / count


def train(speech: Sequence[Utterance], coded: CodedSpeech, *, is_aware: bool, seed: int, updates: int) -> list[float]:
    """Train a model; return its held-out losses of AR and NAR."""
    torch.manual_seed(seed)
    num_codebooks, size, _ = coded.codebooks.shape
    spec = CodecSpec("benchmark", "1", 24_000, 320, num_codebooks, size)
    model = ValleModel(preset("nano", spec, num_symbols=FIRST_SYMBOL + len(SYMBOLS), languages=["en"]))
    if is_aware:
        init_code_embeddings(model, coded.codebooks, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=updates)
    rng = np.random.default_rng(seed)
    trained = np.array([index for index, utterance in enumerate(speech) if not utterance.is_held_out])
    for _ in range(updates):
        optimizer.zero_grad()
        for mode in (Mode.AR, Mode.NAR):
            batch = batch_of(mode, rng.choice(trained, ROWS), speech, coded, model.config, rng)
            (model_loss(model, batch).total / batch.num_labels).backward()  # type: ignore[no-untyped-call]  # torch
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
    model.eval()
    return [held_out_loss(model, mode, speech, coded) for mode in (Mode.AR, Mode.NAR)]


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=240, help="clips of training speakers")
    parser.add_argument("--codes", default="dac,nvidia,mini")
    options = parser.parse_args()
    torch.set_num_threads(1)
    speech = read_speech(options.clips)
    coders = {"dac": coded_by_residual, "nvidia": coded_by_fsq, "mini": coded_by_mini}
    for name in options.codes.split(","):
        coded = coders[name](speech)
        print(f"{coded.name}: a uniform guess costs {np.log(coded.codebooks.shape[1]):.2f} nats", flush=True)
        for start, is_aware in (("random tables", False), ("codec vectors", True)):
            started = time.process_time()
            losses = np.array(
                [
                    train(speech, coded, is_aware=is_aware, seed=seed, updates=options.updates)
                    for seed in range(options.seeds)
                ]
            )
            shown = "   ".join(
                f"{mode} {values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"
                for mode, values in zip(("AR", "NAR"), losses.T, strict=True)
            )
            print(f"  {start}   {shown}   {time.process_time() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
