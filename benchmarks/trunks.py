"""Measure the scaling of decoding with the length of the speech for each trunk, as ratios within one run.

`python benchmarks/trunks.py [--frames 1500] [--trunks retnet,mamba]` decodes F and 2F frames after a prompt of 3 s,
on one thread, and prints the median ratio of the CPU times and the memory that decoding keeps. A trunk with a state of
constant size must need at most 2.02 times as long and no more memory; it fails otherwise.
"""

import argparse
import statistics
import sys
import time

import numpy as np
import torch

from valle.codec.base import CodecSpec
from valle.model.batch import make_batch
from valle.model.config import RECURRENT, preset
from valle.model.layout import Mode
from valle.model.trunks.recurrence import StateCache
from valle.model.trunks.registry import TRUNKS
from valle.model.valle import ValleModel
from valle.tasks.tts import TTS

SPEC = CodecSpec("benchmark", "1", 24_000, 320, 8, 1024)
BOUND = 2.02


@torch.inference_mode()
def decode(model: ValleModel, frames: int) -> tuple[float, int]:
    """Return the CPU seconds of `frames` steps after a prefill, and the bytes that decoding keeps at the end."""
    rng = np.random.default_rng(0)
    prompt = rng.integers(0, 1024, (8, 225)).astype(np.int16)
    row = TTS.row(rng.integers(4, 60, 60), 1, 0, prompt, prompt[:1, :0])
    layout = TTS.layout(Mode.AR)
    cache = model.new_cache()
    model.prefill(make_batch(layout, [row], model.config), cache)
    code, started = torch.zeros(1, 1, dtype=torch.long), time.process_time()
    for index in range(frames):
        model.step(layout, code, torch.tensor([index]), cache)
    seconds = time.process_time() - started
    if isinstance(cache, StateCache):
        return seconds, cache.num_bytes
    lengths = cache.lengths
    assert lengths is not None
    config = model.config
    return seconds, int(lengths[0]) * config.depth * 2 * config.num_kv_heads * (config.width // config.heads) * 4


def main() -> int:
    """Print one line per trunk; 1 when a recurrent one misses its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument("--size", default="nano")
    parser.add_argument("--trunks", default=",".join(TRUNKS))
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    is_missed = False
    for trunk in arguments.trunks.split(","):
        torch.manual_seed(0)
        experts = 8 if trunk == "mixtral" else 0
        config = preset(arguments.size, SPEC, num_symbols=64, languages=["en"], trunk=trunk, experts=experts)
        model = ValleModel(config).eval()
        decode(model, 20)
        # In pairs: the frequency and the caches of a busy machine drift between the first run and the last.
        pairs = [
            (decode(model, arguments.frames), decode(model, 2 * arguments.frames)) for _ in range(arguments.repeats)
        ]
        ratios = [long[0] / short[0] for short, long in pairs]
        ratio, (short, long) = statistics.median(ratios), pairs[0]
        grows = long[1] / short[1]
        verdict = ""
        if trunk in RECURRENT:
            is_held = ratio <= BOUND and grows == 1
            verdict, is_missed = ("held" if is_held else "MISSED"), is_missed or not is_held
        sys.stdout.write(
            f"{trunk:12s} time x{ratio:.3f} ({min(ratios):.2f} to {max(ratios):.2f})  "
            f"memory x{grows:.2f} ({long[1] / 1e6:.2f} MB)  "
            f"{1e3 * short[0] / arguments.frames:.2f} ms a frame  {verdict}\n"
        )
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
