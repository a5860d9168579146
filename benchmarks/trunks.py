"""Measure the scaling of decoding with the length of the speech for each trunk, as ratios within one run.

`python benchmarks/trunks.py [--frames 1500] [--trunks retnet,mamba]` decodes F and 2F frames after a prompt of 3 s, on
one thread, and prints the ratio of the CPU times and the memory that decoding keeps. A trunk with a state of constant
size must need at most 2.02 times as long and no more memory; it fails otherwise.

The ratio is 1 plus the median of those of blocks of frames: the second F frames are decoded in turn with the first F of
another utterance, a block of each. What else a machine does then slows both, and disturbed blocks do not count.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass

import torch
from figures import report

from valle.codec.base import CodecSpec
from valle.model.architecture import RECURRENT, Architecture
from valle.model.config import preset
from valle.model.trunks.registry import TRUNKS
from valle.model.valle import ValleModel
from valle.synthesis.decoding.cost import TimedUtterance

SPEC = CodecSpec("benchmark", "1", 24_000, 320, 8, 1024)
BOUND = 2.02
BLOCK = 10
"""Frames of a block."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Ratios of time and memory of 2F frames to those of F, bytes of both, and milliseconds a frame of the first F."""

    time: float
    short_bytes: int
    long_bytes: int
    milliseconds: float


@torch.inference_mode()
def measure(model: ValleModel, frames: int) -> Scaling:
    """Measure the decoding of `frames` frames, and of as many after them."""
    ahead, behind = TimedUtterance(model), TimedUtterance(model)
    ahead.decode(frames)
    pairs = [(behind.decode(BLOCK), ahead.decode(BLOCK)) for _ in range(frames // BLOCK)]
    ratio = 1 + statistics.median(later / earlier for earlier, later in pairs)
    each = statistics.median(earlier for earlier, _ in pairs) / BLOCK
    return Scaling(ratio, behind.num_bytes, ahead.num_bytes, 1e3 * each)


def main() -> int:
    """Print one line per trunk; 1 when a recurrent one misses its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument("--size", default="nano")
    parser.add_argument("--trunks", default=",".join(TRUNKS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    is_missed = False
    for trunk in arguments.trunks.split(","):
        torch.manual_seed(0)
        experts = 8 if trunk == "mixtral" else 0
        config = preset(
            arguments.size,
            SPEC,
            num_symbols=64,
            languages=["en"],
            architecture=Architecture(trunk=trunk, experts=experts),
        )
        result = measure(ValleModel(config).eval(), arguments.frames)
        grows = result.long_bytes / result.short_bytes
        print(
            f"{trunk} memory {result.short_bytes / 1e6:.2f} and {result.long_bytes / 1e6:.2f} MB, "
            f"{result.milliseconds:.2f} ms a frame, time of twice the frames x{result.time:.3f}"
        )
        if trunk in RECURRENT:
            held = report(f"{trunk}: time of twice the frames", result.time, BOUND, at_least=False)
            held &= report(f"{trunk}: memory of twice the frames", grows, 1.0, at_least=False)
            is_missed = is_missed or not held
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
