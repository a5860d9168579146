"""Make noises without any recording: `python -m manifests.synthesis.noises --out DIR`.

Coloured noise, mains hum, clicks, rooms (impulse responses) and, from a folder of speech, babble: for tests, and for a
first model where no corpus of noises is at hand. Equal arguments give equal files. The layout is that of the corpus
kind `noise`.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from manifests.audio.audio_files import find_audio_files

Samples = NDArray[np.float32]
Make = Callable[[np.random.Generator, int, int], NDArray[np.float64]]
"""Make samples [N] from a generator, N and the sample rate."""

_LEVEL = 0.1
_BABBLING_VOICES = 5


def coloured(exponent: float) -> Make:
    """Return a maker of noise whose power falls with frequency to this exponent: 0 white, 1 pink, 2 brown."""

    def make(generator: np.random.Generator, count: int, rate: int) -> NDArray[np.float64]:
        spectrum = np.fft.rfft(generator.standard_normal(count))
        frequencies = np.maximum(np.fft.rfftfreq(count, 1 / rate), 20.0)
        return np.fft.irfft(spectrum / frequencies ** (exponent / 2), count)

    return make


def hum(generator: np.random.Generator, count: int, rate: int) -> NDArray[np.float64]:
    """Make mains hum of 50 or 60 Hz with nine harmonics."""
    time = np.arange(count) / rate
    base = generator.choice([50.0, 60.0])
    waves = [
        np.sin(2 * np.pi * base * number * time + generator.uniform(0, 2 * np.pi)) * generator.uniform(0, 1) / number
        for number in range(1, 11)
    ]
    return np.sum(waves, axis=0)


def clicks(generator: np.random.Generator, count: int, rate: int) -> NDArray[np.float64]:
    """Make about four decaying clicks a second."""
    impulses = (generator.random(count) < 4 / rate) * generator.standard_normal(count)
    decay = np.exp(-np.arange(rate // 100) / (rate / 1000)) * generator.standard_normal(rate // 100)
    return np.convolve(impulses, decay)[:count] + 1e-4 * generator.standard_normal(count)


def room(generator: np.random.Generator, count: int, rate: int) -> NDArray[np.float64]:
    """Make the impulse response of a room: the direct sound, then noise that decays by 60 dB in 0.2 to 0.8 s."""
    decay = 10 ** (-3 * np.arange(count) / rate / generator.uniform(0.2, 0.8))
    response = 0.2 * generator.standard_normal(count) * decay
    response[: round(0.002 * rate)] = 0
    response[0] = 1.0
    return np.asarray(response)


def babble(clips: Sequence[Samples], generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Mix several clips of speech, each repeated from a random point on."""
    chosen = generator.choice(len(clips), size=min(_BABBLING_VOICES, len(clips)), replace=False)
    voices = [np.resize(np.roll(clips[index], generator.integers(len(clips[index]))), count) for index in chosen]
    return np.sum(voices, axis=0)


_MAKERS: Mapping[str, Make] = {
    "noise/white": coloured(0),
    "noise/pink": coloured(1),
    "noise/brown": coloured(2),
    "noise/hum": hum,
    "noise/clicks": clicks,
    "rir/room": room,
}


def make_noises(
    out: Path, *, count: int, seconds: float, sample_rate: int, seed: int, speech: Sequence[Samples] = ()
) -> list[Path]:
    """Write `count` files of every kind below `out` and return their paths; babble only with clips of speech."""
    paths = []
    for kind, number, samples in _noises(count, round(seconds * sample_rate), sample_rate, seed, speech):
        path = out / f"{kind}-{number}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        peak = float(np.abs(samples).max()) or 1.0
        # An impulse response keeps its scale: its direct sound is 1.
        level = 0.9 / peak if kind.startswith("rir") else min(_LEVEL / float(np.std(samples)), 0.99 / peak)
        soundfile.write(path, (samples * level).astype(np.float32), sample_rate)
        paths.append(path)
    return paths


def _noises(
    count: int, length: int, rate: int, seed: int, speech: Sequence[Samples]
) -> Iterator[tuple[str, int, NDArray[np.float64]]]:
    for kind_number, (kind, make) in enumerate(_MAKERS.items()):
        for number in range(count):
            yield kind, number, make(np.random.default_rng((seed, kind_number, number)), length, rate)
    for number in range(count if speech else 0):
        yield "babble/voices", number, babble(speech, np.random.default_rng((seed, len(_MAKERS), number)), length)


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m manifests.synthesis.noises", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the noises")
    parser.add_argument("--count", type=int, default=4, help="files of each kind")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a file")
    parser.add_argument("--sample-rate", type=int, default=24_000, help="Hz")
    parser.add_argument("--seed", type=int, default=0, help="fixes every sample")
    parser.add_argument("--speech", type=Path, help="folder of speech at that rate, for babble")
    arguments = parser.parse_args()
    speech = []
    for path in find_audio_files(arguments.speech) if arguments.speech else ():
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            continue
        if rate == arguments.sample_rate:
            speech.append(samples[:, 0])
    paths = make_noises(
        arguments.out,
        count=arguments.count,
        seconds=arguments.seconds,
        sample_rate=arguments.sample_rate,
        seed=arguments.seed,
        speech=speech,
    )
    sys.stdout.write(f"{len(paths)} files below {arguments.out}; ingest them with --corpus.kind noise.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
