"""Audio seconds a CPU second of DNSMOS, the part of it that is its network, and `dnsmos_int8` beside it.

`python benchmarks/quality.py [--clips 24]`: the scorer of the stage over clips of 9.01 and of 3 s (which the model
repeats to 9.01 s), beside the bare network on the same windows. One thread. `dnsmos_int8` scores speech of the demo
corpus, since its scores are compared as well.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from figures import report

from manifests.demo.clips import demo_clips
from valle.audio import AudioLocation, Samples, read_audio
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
    return 0 if good & compare_int8(scorer, count) else 1


def compare_int8(scorer: Dnsmos, count: int) -> bool:
    """Compare time and scores of the integer network with those of the float one, on the same speech."""
    clips = [read_audio(AudioLocation(str(clip.path)), SAMPLE_RATE).samples for clip in list(demo_clips())[:count]]
    integers = Dnsmos(is_int8=True)
    integers.score(clips[:1])
    spent, scores = [], []
    for one in (scorer, integers):
        before = time.process_time()
        scores.append(one.score(clips))
        spent.append(time.process_time() - before)
    differences = [abs(a[name] - b[name]) for a, b in zip(*scores, strict=True) for name in a]
    held = report("dnsmos_int8 / dnsmos, throughput", spent[0] / spent[1], 4.0, at_least=True)
    return held & report(
        "dnsmos_int8 - dnsmos, mean difference of a score", float(np.mean(differences)), 0.03, at_least=False
    )


if __name__ == "__main__":
    sys.exit(main())
