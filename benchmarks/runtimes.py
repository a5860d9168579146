"""Measure the trunk in llama.cpp beside torch: the time of a frame, as ratios within one run, and the logits.

`python benchmarks/runtimes.py [--frames 150] [--repeats 5] [--size 20m]` decodes frames of codebook 0 after a prompt
of 3 s, on one thread: with the embedded checkpoint, or with a random one of a size. Each type of weights is compared
with torch on the same rounded weights, f16 in fp32 (the default) and in fp16. Runtimes take turns, and the median of
the repeats counts.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from valle.checkpoints.checkpoint import load_model, read_card
from valle.checkpoints.runs import EMBEDDED, newest_checkpoint
from valle.checkpoints.saving import write_model
from valle.llama_cpp.loading import load_llama_cpp
from valle.model.config import find_size
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.synthesis.decoding.conditions import Condition, speech_batch
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import SamplingOptions
from valle.tasks.tts import TTS
from valle.training.export import export_gguf

LAYOUT = TTS.layout(Mode.AR)
PHONEMES = "ðə bˈɜːtʃ kənˈuː slˈɪd ɔnðə smˈuːð plˈæŋks."


def make_checkpoint(size: str | None, folder: Path) -> Path:
    """Return the embedded checkpoint, or write a random one of a size."""
    embedded = newest_checkpoint(folder, EMBEDDED)
    if size is None:
        return embedded
    card = read_card(embedded)
    card = dataclasses.replace(card, model=card.model.model_copy(update=dataclasses.asdict(find_size(size))))
    torch.manual_seed(0)
    write_model(folder / "random", card, ValleModel(card.model).state_dict())
    return folder / "random"


@torch.inference_mode()
def decode_frames(model: ValleModel, condition: Condition, frames: int) -> float:
    """Return the CPU seconds of a frame after the prefill."""
    cache = model.new_cache(0)
    batch = speech_batch(model, TTS, Mode.AR, [condition.row(0, condition.prefix[:1])])
    model.prefill(batch, cache)
    code, started = torch.zeros(1, 1, dtype=torch.long), time.process_time()
    for index in range(frames):
        model.step(LAYOUT, code, torch.tensor([index]), cache)
    return (time.process_time() - started) / frames


@torch.inference_mode()
def compare(models: tuple[ValleModel, ValleModel], condition: Condition, spoken: np.ndarray) -> tuple[float, float]:
    """Return the largest difference of AR logits, and that of probabilities, over a spoken sentence."""
    batch = speech_batch(models[0], TTS, Mode.AR, [condition.row(0, spoken[:1])])
    ours, theirs = (model(batch) for model in models)
    return float((ours - theirs).abs().max()), float((ours.softmax(-1) - theirs.softmax(-1)).abs().max())


def main() -> int:
    """Print one line per type of weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size")
    parser.add_argument("--weights", default="f32,f16,q8_0,q4_0")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        checkpoint = make_checkpoint(arguments.size, Path(folder))
        plain, card = load_model(checkpoint)
        rng = np.random.default_rng(0)
        condition = Condition(
            np.array(card.phoneme_table.encode([*PHONEMES])),
            1,
            rng.integers(0, 1024, (8, 225)).astype(np.int16),
            np.zeros((8, 0), dtype=np.int16),
        )
        greedy = SamplingOptions(temperature=0, nar_temperature=0, max_seconds=2)
        spoken = decode(plain, [condition], [greedy])[0].codes
        for kind in arguments.weights.split(","):
            file = Path(folder) / f"{kind}.gguf"
            size = export_gguf(checkpoint, file, kind)
            for computed in ("f32", "f16") if kind == "f16" else ("f32",):
                models = load_model(file)[0], load_llama_cpp(file, computed)[0]
                logits, probabilities = compare(models, condition, spoken)
                turns = [
                    [decode_frames(model, condition, arguments.frames) for model in models]
                    for _ in range(arguments.repeats)
                ]
                torch_time, llama_time = (statistics.median(times) for times in zip(*turns, strict=True))
                name = f"{kind} in fp16" if computed == "f16" else kind
                print(
                    f"{name:11} {size / 1e6:6.1f} MB  torch {1000 * torch_time:.2f} ms a frame, "
                    f"llama.cpp {torch_time / llama_time:.2f} times as fast; logits differ by {logits:.1e}, "
                    f"probabilities by {probabilities:.1e}",
                    flush=True,
                )
            file.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
