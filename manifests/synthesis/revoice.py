"""Derive many voices by WORLD: `python -m manifests.synthesis.revoice --source DIR --out DIR --voices 40`.

Every training clip of a synthetic corpus is analysed into pitch, spectral envelope and aperiodicity (Morise et al.,
"WORLD: A Vocoder-Based High-Quality Speech Synthesis System", IEICE 2016) and synthesized again in another voice:
other pitch, range of the pitch, vocal tract length, tilt, equalisation, breathiness and speed. Unlike resampling
(`manifests.synthesis.perturb`) all of them vary apart. A voice `joe@w017` is one draw of them for one source voice.
The command can be killed anywhere, and started again when the source has grown.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from manifests.corpora.synthetic import ClipRow
from manifests.reading.growing import Samples, grow_corpus
from manifests.synthesis.clips import read_clip, read_main_rows, run_command
from warehouse.errors import ConfigurationError

Floats = npt.NDArray[np.float64]

# Middle of the pitch of a source voice, in Hz: the vocal tract of a voice follows its distance from here.
_USUAL_PITCH = {"male": 115.0, "female": 200.0}
_PITCHES = (85.0, 265.0)
_TRACTS = (0.82, 1.24)
_FRAME_MS = 5.0
_PEAK = 0.95


@dataclass(frozen=True, slots=True)
class VoiceChange:
    """A voice as changes of a source voice.

    `pitch`: median in Hz. `range`: exponent of the pitch relative to its median. `tract`: factor of all formants.
    `gains`: decibels at equal distances of log frequency from 100 Hz to half the sample rate. `breath`: exponent of the
    aperiodicity, below 1 more noise. `speed`: above 1 faster.
    """

    pitch: float
    range: float
    tract: float
    gains: tuple[float, ...]
    breath: float
    speed: float


def draw_voice(source_voice: str, gender: str, index: int) -> VoiceChange:
    """Draw the voice number `index` of a source voice: a function of the arguments alone."""
    digest = hashlib.sha256(f"{source_voice}@w{index}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    pitch = float(np.exp(rng.uniform(*np.log(_PITCHES))))
    distance = np.log(pitch / _USUAL_PITCH.get(gender, 150.0))
    tract = float(np.clip(np.exp(0.28 * distance + rng.normal(0, 0.06)), *_TRACTS))
    tilt = rng.uniform(-4, 4) * np.linspace(-1, 1, 7)
    return VoiceChange(
        pitch=pitch,
        range=float(rng.uniform(0.7, 1.4)),
        tract=tract,
        gains=tuple(float(gain) for gain in tilt + rng.normal(0, 2.5, 7)),
        breath=float(rng.uniform(0.7, 1.2)),
        speed=float(rng.uniform(0.9, 1.15)),
    )


def change_voice(samples: Samples, sample_rate: int, voice: VoiceChange) -> Samples:
    """Return samples [N / speed] of the same words in another voice, with the loudness of `samples` [N].

    Pitch by DIO and StoneMask, envelope by CheapTrick, aperiodicity by D4C. A clip without voiced
    frames keeps its pitch.
    """
    import pyworld

    waveform = samples.astype(np.float64)
    pitch, times = pyworld.dio(waveform, sample_rate, frame_period=_FRAME_MS)
    pitch = pyworld.stonemask(waveform, pitch, times, sample_rate)
    envelope = pyworld.cheaptrick(waveform, pitch, times, sample_rate)
    aperiodicity = pyworld.d4c(waveform, pitch, times, sample_rate)
    changed = pyworld.synthesize(
        _move_pitch(pitch, voice),
        _shape(envelope, sample_rate, voice),
        aperiodicity**voice.breath,
        sample_rate,
        _FRAME_MS / voice.speed,
    )
    loudness = np.sqrt((waveform**2).mean() / max(float((changed**2).mean()), 1e-12))
    changed *= min(loudness, _PEAK / max(float(np.abs(changed).max()), 1e-9))
    return changed.astype(np.float32)


def _move_pitch(pitch: Floats, voice: VoiceChange) -> Floats:
    voiced = pitch > 0
    if not voiced.any():
        return pitch
    median = float(np.median(pitch[voiced]))
    moved = np.zeros_like(pitch)
    moved[voiced] = voice.pitch * (pitch[voiced] / median) ** voice.range
    return moved


def _shape(envelope: Floats, sample_rate: int, voice: VoiceChange) -> Floats:
    """Stretch the envelope [T, bins] along frequency by the vocal tract and apply the gains."""
    bins = envelope.shape[1]
    position = np.minimum(np.arange(bins) / voice.tract, bins - 1)
    below = np.minimum(position.astype(int), bins - 2)
    part = position - below
    logs = np.log(envelope)
    stretched = logs[:, below] * (1 - part) + logs[:, below + 1] * part
    frequencies = np.maximum(np.linspace(0, sample_rate / 2, bins), 1.0)
    knots = np.linspace(np.log(100.0), np.log(sample_rate / 2), len(voice.gains))
    gains = np.interp(np.log(frequencies), knots, voice.gains)
    shaped: Floats = np.ascontiguousarray(np.exp(stretched + gains * np.log(10) / 10))
    return shaped


def revoice(source: Path, out: Path, voices: int, *, copies: int = 1) -> int:
    """Add the missing clips to `out` and return how many were added.

    Each main clip of `source` is synthesized in `copies` of the `voices` voices of its source voice, chosen by its id.

    Raises ConfigurationError for a number of voices or copies that is impossible, ManifestError where `source` is no
    synthetic corpus.
    """
    if not 1 <= copies <= voices:
        raise ConfigurationError("Choose at least one voice, and at most as many copies of a clip as voices.")
    rows = read_main_rows(source)
    added = 0
    with grow_corpus(out) as corpus:
        present = {row.id for row in corpus.rows}
        for row in rows:
            for index in _choose_voices(row.id, voices, copies):
                if f"{row.id}@w{index:03d}" in present:
                    continue
                changed, samples, rate = _speak(row, source, index)
                corpus.add(changed, samples, rate)
                added += 1
    return added


def _choose_voices(clip: str, voices: int, copies: int) -> Sequence[int]:
    first = int.from_bytes(hashlib.sha256(clip.encode()).digest()[:4], "big")
    return [(first + copy * max(1, voices // copies)) % voices for copy in range(copies)]


def _speak(row: ClipRow, source: Path, index: int) -> tuple[ClipRow, Samples, int]:
    samples, rate = read_clip(source / row.file)
    voice = draw_voice(row.voice, row.gender, index)
    spoken = change_voice(samples, rate, voice)
    name = f"{row.id}@w{index:03d}"
    changed = replace(
        row,
        id=name,
        file=f"audio/{name}.ogg",
        voice=f"{row.voice}@w{index:03d}",
        speed=f"{float(row.speed) * voice.speed:.2f}",
        duration_s=f"{len(spoken) / rate:.2f}",
    )
    return changed, spoken, rate


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m manifests.synthesis.revoice", description=__doc__)
    parser.add_argument("--voices", type=int, default=40, help="voices of every source voice")
    parser.add_argument("--copies", type=int, default=1, help="voices in which each clip is spoken")
    return run_command(parser, lambda given: revoice(given.source, given.out, given.voices, copies=given.copies))


if __name__ == "__main__":
    sys.exit(main())
