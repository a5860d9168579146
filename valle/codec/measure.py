"""`python -m valle.codec.measure --audio DIR [--codec mini]`: what a codec does to speech it was not trained on.

Clips are the rows of split `heldout` of a `corpus.tsv`; each is scored as it is and after encoding and decoding.
"""

import argparse
import csv
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from valle.audio import AudioLocation, Samples, read_audio, resample
from valle.backends import Backends
from valle.codec.base import Codec, Codes
from valle.codec.training_data import LOWEST_RATE
from valle.evaluation.errors import count_word_errors
from valle.evaluation.normalise import get_normaliser
from valle.speaker import SAMPLE_RATE as JUDGES_RATE
from warehouse.errors import ManifestError


@dataclass(frozen=True, slots=True)
class HeldOutClip:
    """Speech of a speaker the codec never heard, and what is said."""

    samples: Samples
    text: str


@dataclass(frozen=True, slots=True)
class SpeechQuality:
    """Word error rate in percent (a clip counts at most 100), mean MOS, and cosine to the original voices."""

    word_error_rate: float
    distillmos: float
    cosine: float
    lowest_tenth_cosine: float


@dataclass(frozen=True, slots=True)
class CodebookUse:
    """Entries of a codebook that occur, and the entropy of its codes in bits."""

    num_entries: int
    entropy: float


def read_held_out(directory: Path, sample_rate: int, *, num_clips: int, longest: float) -> list[HeldOutClip]:
    """Up to `num_clips` clips of at most `longest` seconds, spread evenly over the held-out rows."""
    with (directory / "corpus.tsv").open(newline="") as table:
        rows = [row for row in csv.DictReader(table, delimiter="\t") if row["split"] == "heldout" and row["text"]]
    rows = [row for row in rows if float(row["duration_s"]) <= longest]
    rows = [row for row in rows if int(row.get("native_sr") or LOWEST_RATE) >= LOWEST_RATE]
    if not rows:
        raise ManifestError(
            f"{directory}/corpus.tsv has no row of split heldout with a text and {LOWEST_RATE} Hz or more"
        )
    chosen = np.linspace(0, len(rows) - 1, min(num_clips, len(rows))).astype(int)
    paths = [(str(directory / rows[index]["file"]), rows[index]["text"]) for index in chosen]
    return [HeldOutClip(read_audio(AudioLocation(path), sample_rate).samples, text) for path, text in paths]


def measure_speech(
    waveforms: Sequence[Samples], clips: Sequence[HeldOutClip], *, sample_rate: int, backends: Backends, asr: str
) -> SpeechQuality:
    """Scores of `waveforms`, one per clip, beside the originals."""
    judged = [resample(waveform, sample_rate, JUDGES_RATE) for waveform in waveforms]
    originals = [resample(clip.samples, sample_rate, JUDGES_RATE) for clip in clips]
    normalise = get_normaliser()
    heard = backends.transcriber(asr).transcribe(judged, "en", careful=True)
    counts = [count_word_errors(normalise(c.text), normalise(h.text)) for c, h in zip(clips, heard, strict=True)]
    errors = sum(min(count.errors, count.length) for count in counts)
    encoder = backends.speaker_encoder("resemblyzer")
    cosines = [float(a @ b) for a, b in zip(encoder.embed(judged), encoder.embed(originals), strict=True)]
    opinions = backends.quality_scorer("distillmos").score(judged)
    return SpeechQuality(
        word_error_rate=100 * errors / sum(count.length for count in counts),
        distillmos=float(np.mean([opinion["distillmos"] for opinion in opinions])),
        cosine=float(np.mean(cosines)),
        lowest_tenth_cosine=float(np.percentile(cosines, 10)),
    )


def measure_use(codes: Sequence[Codes], codebook_size: int) -> list[CodebookUse]:
    """How much of each codebook is used."""
    uses = []
    for level in np.concatenate(list(codes), axis=1):
        counts = np.bincount(level, minlength=codebook_size)
        shares = counts[counts > 0] / counts.sum()
        uses.append(CodebookUse(len(shares), float(-(shares * np.log2(shares)).sum())))
    return uses


def measure_speed(codec: Codec, clips: Sequence[HeldOutClip]) -> dict[str, float]:
    """Seconds of audio per second of processor time, for encoding, decoding, and both."""
    waveforms = [clip.samples for clip in clips]
    seconds = sum(map(len, waveforms)) / codec.spec.sample_rate
    codec.decode(codec.encode(waveforms[:1]))
    started = time.process_time()
    codes = codec.encode(waveforms)
    encoded = time.process_time()
    codec.decode(codes)
    decoded = time.process_time()
    return {
        "encode": seconds / (encoded - started),
        "decode": seconds / (decoded - encoded),
        "both": seconds / (decoded - started),
    }


def main() -> None:
    """Parse the command line and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True, help="folder with a corpus.tsv")
    parser.add_argument("--codec", default="mini")
    parser.add_argument("--asr", default="tiny.en")
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--longest", type=float, default=10.0, help="seconds")
    parser.add_argument("--levels", type=int, nargs="+", default=[8, 4, 2, 1], help="numbers of codebooks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    backends = Backends()
    codec = backends.codec(arguments.codec)
    rate = codec.spec.sample_rate
    clips = read_held_out(arguments.audio, rate, num_clips=arguments.clips, longest=arguments.longest)
    codes = codec.encode([clip.samples for clip in clips])
    frames = sum(array.shape[1] for array in codes)
    print(json.dumps({"codec": str(codec.spec), "clips": len(clips), "frames": frames}))  # noqa: T201
    print(json.dumps({"times_real_time": measure_speed(codec, clips)}))  # noqa: T201
    print(json.dumps({"use": [asdict(use) for use in measure_use(codes, codec.spec.codebook_size)]}))  # noqa: T201
    versions = {"original": [clip.samples for clip in clips]}
    versions |= {str(k): codec.decode([array[:k] for array in codes]) for k in arguments.levels}
    for name, waveforms in versions.items():
        quality = measure_speech(waveforms, clips, sample_rate=rate, backends=backends, asr=arguments.asr)
        print(json.dumps({"codebooks": name} | asdict(quality)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
