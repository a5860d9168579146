"""Audio seconds a CPU second of DNSMOS, and the part of it that is the convolutions of its network.

`python benchmarks/quality.py [--clips 24]`: the scorer of the stage over clips of 9.01 and of 3 s (which the model
repeats to 9.01 s), beside the bare network on the same windows. One thread.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from figures import report

from valle.audio import Samples
from valle.backends.quality import SAMPLE_RATE, Dnsmos

_WINDOW = 144_160


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process in `work`."""
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> int:
    """Print the figures; 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=24)
    count: int = parser.parse_args().clips
    rng = np.random.default_rng(0)
    long = [(rng.standard_normal(_WINDOW) * 0.1).astype(np.float32) for _ in range(count)]
    short: list[Samples] = [samples[: 3 * SAMPLE_RATE] for samples in long]
    scorer = Dnsmos()
    network = scorer._model.onnx_sess
    scorer.score(long[:1])
    whole, alone = cpu_seconds(lambda: scorer.score(long)), cpu_seconds(lambda: scorer.score(short))
    bare = cpu_seconds(lambda: [network.run(None, {"input_1": samples[None]}) for samples in long])
    good = report(
        "DNSMOS, clips of 9 s: audio s a CPU second", sum(map(len, long)) / SAMPLE_RATE / whole, 10, at_least=True
    )
    good &= report("DNSMOS, clips of 3 s: audio s a CPU second", 3 * count / alone, 3, at_least=True)
    good &= report("DNSMOS / the convolutions of its first network", whole / bare, 1.15, at_least=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
