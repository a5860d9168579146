"""Measure EnCodec over clips of unequal length: padded batches against one clip at a time, as ratios in one run.

`python benchmarks/codecs.py [--clips 60] [--threads 2]`: the network has random weights of the published shape, which
take the time of the published ones. Seconds are those of the clock, since threads that wait spin; for a busy machine
`--threads 1` counts processor time instead. Prints one line per ratio with its bound and fails when one is missed.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice

import numpy as np
import torch
from encodec.model import EncodecModel
from figures import report

from manifests.demo.clips import demo_clips
from valle.audio import AudioLocation, Samples, read_audio
from valle.codec.encodec.mono import SAMPLE_RATE, EncodecCodec, build_encodec_24khz, prepare_for_inference


def random_model() -> EncodecModel:
    """Return the network with random weights; its codebooks are as wide as its latents, so that all entries occur."""
    torch.manual_seed(0)
    model = build_encodec_24khz().eval()
    for layer in model.quantizer.vq.layers:
        layer._codebook.embed.normal_(0, 0.1)
        layer._codebook.inited.fill_(1)
    model.set_target_bandwidth(6.0)
    return model


def adapter(batch_seconds: float) -> EncodecCodec:
    """Return the codec of this package around the same network."""
    model = prepare_for_inference(random_model())
    return EncodecCodec(model, name="encodec_24khz", revision="random", num_codebooks=8, batch_seconds=batch_seconds)


def speech(count: int) -> list[Samples]:
    """Return demo clips of 0.9 to 6 s."""
    clips = [read_audio(AudioLocation(str(clip.path)), SAMPLE_RATE).samples for clip in islice(demo_clips(), count)]
    return [clips[number % len(clips)] for number in range(count)]


@torch.inference_mode()
def by_library(model: EncodecModel, clip: Samples) -> Samples:
    """Return the codes of one clip by the package `encodec`."""
    [(codes, _)] = model.encode(torch.from_numpy(clip)[None, None])
    found: Samples = codes[0].numpy()
    return found


def fastest(rounds: int, clock: Callable[[], float], *works: Callable[[], object]) -> list[float]:
    """Return the least seconds of each work; they take turns, so that a load of the machine meets all."""
    least = [float("inf")] * len(works)
    for _ in range(rounds):
        for index, work in enumerate(works):
            started = clock()
            work()
            least[index] = min(least[index], clock() - started)
    return least


def peak_megabytes(batch_seconds: float, count: int) -> float:
    """Return the peak memory of encoding the clips in a process of its own."""
    arguments = [sys.executable, __file__, "--clips", str(count), "--memory", str(batch_seconds)]
    return float(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=float, default=0, help="only print the peak memory at so many batch seconds")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clips = speech(options.clips)
    if options.memory:
        adapter(options.memory).encode(clips)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    library, codec = random_model(), adapter(60.0)
    expected = [by_library(library, clip) for clip in clips]
    together, alone = codec.encode(clips), [codec.encode([clip])[0] for clip in clips]
    differing = sum(int((a != b).sum()) for a, b in zip(together, expected, strict=True))
    print(f"codes of the library that differ: {differing} of {sum(codes.size for codes in expected):,}")
    good = all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
    print(f"codes of a batch equal those of its clips: {good}")
    clock = time.process_time if options.threads == 1 else time.perf_counter
    seconds = fastest(
        options.rounds,
        clock,
        lambda: [by_library(library, clip) for clip in clips],
        lambda: [codec.encode([clip]) for clip in clips],
        lambda: codec.encode(clips),
    )
    good &= report("padded batches / the library clip by clip, throughput", seconds[0] / seconds[2], 1.5, at_least=True)
    good &= report("padded batches / this adapter clip by clip", seconds[1] / seconds[2], 1.0, at_least=True)
    ratio = peak_megabytes(10, options.clips) / peak_megabytes(120, options.clips)
    good &= report("peak memory at batches of 10 s / of 120 s", ratio, 1.05, at_least=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
