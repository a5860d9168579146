"""Measure the cost of lake and stages over the bare models, as ratios in one run.

`python benchmarks/prepare.py [--clips 400]`: the quantize stage against the bare codec loop over the same audio, the
transcribe stage and packed clips against bare faster-whisper one clip at a time, and the memory of the stages at two
corpus sizes. CPU seconds of this process on one thread; prints one line per ratio with its bound and fails when one is
missed.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from faster_whisper import WhisperModel
from figures import report

from manifests.corpora.registry import open_corpus
from manifests.corpus import CorpusOptions
from manifests.demo.clips import demo_clips
from valle.audio import AudioLocation, read_audio
from valle.backends.asr import open_transcriber
from valle.backends.registry import Backends
from valle.backends.weights import tiny_en_directory
from valle.stages.base import Stage
from valle.stages.ingest import ingest_shard, plan_ingest
from valle.stages.quantize import Quantize
from valle.stages.runner import Job, plan, run_shard, set_active_configurations
from valle.stages.segment import Segment
from valle.stages.transcribe import Transcribe
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake


def copy_clips(folder: Path, count: int) -> list[Path]:
    """The longest demo clips with their texts, repeated under other names when there are too few."""
    clips = sorted(demo_clips(), key=lambda clip: -clip.duration)
    folder.mkdir(parents=True)
    paths = []
    for number in range(count):
        clip = clips[number % len(clips)]
        path = folder / f"{number:05}-{clip.id}.ogg"
        # A few bytes behind the last page make another file of the same audio, which is no duplicate then.
        path.write_bytes(clip.path.read_bytes() + (number // len(clips)).to_bytes(4, "big"))
        path.with_suffix(".txt").write_text(clip.text, encoding="utf-8")
        paths.append(path)
    return paths


def run_stage(stage: Stage, lake: Lake, backends: Backends) -> None:
    """Everything that is missing, as the flow does it."""
    set_active_configurations([Job(stage, "clips")], lake)
    with connect(lake.snapshot()) as connection:
        shards = plan(stage, "clips", connection).shards
    for shard in shards:
        run_shard(stage, corpus="clips", shard=shard.shard, lake=lake, backends=backends, run_id="benchmark")


def ingest(folder: Path, lake: Lake, backends: Backends, megabytes: float) -> None:
    """Recordings and segments."""
    options = CorpusOptions(language="en", shard_megabytes=megabytes)
    corpus = open_corpus("folder", folder, name="clips", options=options)
    for shard in plan_ingest(corpus, lake).shards:
        ingest_shard(corpus, shard=shard, lake=lake, run_id="benchmark")
    run_stage(Segment(), lake, backends)


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def bare_codec(paths: list[Path], backends: Backends) -> None:
    """Decode, encode, nothing else."""
    codec = backends.codec("mini")
    for path in paths:
        codec.encode([read_audio(AudioLocation(str(path)), codec.spec.sample_rate).samples])


def bare_whisper(paths: list[Path]) -> None:
    """faster-whisper as its README calls it, greedy, one clip after another."""
    model = WhisperModel(str(tiny_en_directory()), device="cpu", compute_type="int8", cpu_threads=1)
    for path in paths:
        samples = read_audio(AudioLocation(str(path)), 16_000).samples
        segments, _ = model.transcribe(samples, language="en", beam_size=1)
        list(segments)


def memory(count: int) -> float:
    """Peak megabytes of quantizing `count` clips in a process of its own."""
    answer = subprocess.run(
        [sys.executable, __file__, "--memory", str(count)], check=True, capture_output=True, text=True
    )
    return float(answer.stdout)


def quantize_and_say_memory(count: int) -> None:
    """Run the child process of `memory`."""
    with tempfile.TemporaryDirectory() as folder:
        copy_clips(Path(folder) / "clips", count)
        lake, backends = Lake(Path(folder) / "lake"), Backends()
        ingest(Path(folder) / "clips", lake, backends, megabytes=0.5)
        run_stage(Quantize(), lake, backends)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def quantize_ratio(count: int) -> bool:
    """The stage on one shard of `count` clips, with its reading, planning and committing."""
    backends = Backends()
    with tempfile.TemporaryDirectory() as folder:
        paths = copy_clips(Path(folder) / "clips", count)
        lake = Lake(Path(folder) / "lake")
        ingest(Path(folder) / "clips", lake, backends, megabytes=64)
        bare_codec(paths[:3], backends)  # Opens the model, which both sides share.
        bare = seconds(lambda: bare_codec(paths, backends))
        flow = seconds(lambda: run_stage(Quantize(), lake, backends))
    return report("quantize stage / bare codec loop, throughput", bare / flow, 0.95, at_least=True)


def transcribe_ratio(count: int) -> bool:
    """The same for the ASR; both sides open their model."""
    backends = Backends()
    with tempfile.TemporaryDirectory() as folder:
        paths = copy_clips(Path(folder) / "clips", count)
        lake = Lake(Path(folder) / "lake")
        ingest(Path(folder) / "clips", lake, backends, megabytes=64)
        bare = seconds(lambda: bare_whisper(paths))
        flow = seconds(lambda: run_stage(Transcribe(), lake, backends))
    return report("transcribe stage / bare faster-whisper, throughput", bare / flow, 0.85, at_least=True)


def packed_ratio(count: int) -> bool:
    """Transcribe clips of 2 to 3 s, packed, against the bare model clip by clip; both sides open their model."""
    clips = [clip for clip in demo_clips() if 2 <= clip.duration <= 3][:count]
    waveforms = [read_audio(AudioLocation(str(clip.path)), 16_000).samples for clip in clips]
    bare = seconds(lambda: bare_whisper([clip.path for clip in clips]))
    packed = seconds(lambda: open_transcriber("tiny.en").transcribe_packed(waveforms, "en"))
    name = f"packed transcribing of {len(clips)} clips of 2-3 s / bare, throughput"
    return report(name, bare / packed, 2.5, at_least=True)


def main() -> int:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--memory", type=int, default=0, help="only say the memory of quantizing so many clips")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        quantize_and_say_memory(options.memory)
        return 0
    good = quantize_ratio(options.clips) & transcribe_ratio(options.clips // 10) & packed_ratio(60)
    small, large = memory(100), memory(400)
    good &= report("memory at 4 times the corpus / memory", large / small, 1.15, at_least=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
