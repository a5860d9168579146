"""Lay out the demo corpus in the published formats of LibriLight and Emilia, for a first run of the whole pipeline.

`librilight/small/<speaker>/<book>/<chapter>.flac` has five voices, their clips joined with pauses, without text.
`emilia/Emilia/EN/EN-B000000.tar` has the other fifteen training voices, `EN-B000001.tar` the eight held-out ones.
The bytes and the modification times depend on the clips alone, so the ids and fingerprints do as well.
"""

import io
import json
import math
import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from manifests.corpus import identify
from manifests.demo.clips import HELD_OUT, DemoClip, demo_clips
from warehouse.files import atomic_write

Samples = NDArray[np.float32]

EMILIA_RATE = 24_000
LIBRILIGHT_RATE = 16_000
LIBRILIGHT_VOICES = ("af_nova", "am_eric", "am_onyx", "bf_isabella", "bm_fable")
CLIPS_PER_CHAPTER = 9

_MODIFIED = 1_767_225_600  # 2026-01-01: a fixed time keeps the etags, and so the fingerprints, equal everywhere
_VOICE_FRAME = 0.08  # seconds: the grid of LibriLight's voice activity
_SNR = 45.0  # decibels between the speech and the noise that fills the pauses
# Raise it when the files of the demo change, so that folders of an earlier version are written again.
_LAYOUT_VERSION = 1
_MARK = {"licence": "Apache-2.0", "origin": "synthetic"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoLayout:
    """Folders of the demo corpora, and the labels of the speakers that no model may be trained on.

    The labels are those of the tables when the corpus is ingested under the name `emilia`.
    """

    librilight: Path
    emilia: Path
    held_out_speakers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    """A file to be written below the demo folder."""

    path: str
    content: bytes


def lay_out_demo(directory: Path, *, clips: Sequence[DemoClip] | None = None) -> DemoLayout:
    """Write the demo corpora below `directory` and return their folders.

    `clips` are the ones to lay out, sorted by id; all of them by default (about 25 CPU seconds, on every core).
    A second call with the same clips leaves complete files as they are. Raises StorageError when the folder cannot
    be written.
    """
    clips = list(demo_clips()) if clips is None else clips
    stamp = directory / ".layout.json"
    if not _is_complete(directory, stamp, clips):
        sizes = {item.path: _write(directory / item.path, item.content) for item in _items(clips)}
        content = {"identity": _identity(clips), "sizes": sizes}
        _write(stamp, json.dumps(content, indent=1, sort_keys=True).encode())
    return DemoLayout(
        librilight=directory / "librilight",
        emilia=directory / "emilia",
        held_out_speakers=tuple(f"emilia:{_emilia_speakers(clips)[voice]}" for voice in _voices(clips, HELD_OUT)),
    )


def _is_complete(directory: Path, stamp: Path, clips: Sequence[DemoClip]) -> bool:
    try:
        content = json.loads(stamp.read_bytes())
        sizes = dict(content["sizes"])
        return content["identity"] == _identity(clips) and all(
            (directory / path).stat().st_size == size for path, size in sizes.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _identity(clips: Sequence[DemoClip]) -> str:
    return identify(str(_LAYOUT_VERSION), *(f"{clip.id} {clip.speaker} {clip.text}" for clip in clips))


def _write(path: Path, content: bytes) -> int:
    with atomic_write(path, durable=False) as temporary:
        temporary.write_bytes(content)
        os.utime(temporary, (_MODIFIED, _MODIFIED))
    return len(content)


def _items(clips: Sequence[DemoClip]) -> Iterator[_Item]:
    by_voice = {voice: list(group) for voice, group in groupby(clips, key=lambda clip: clip.speaker)}
    for number, voice in enumerate(LIBRILIGHT_VOICES):
        yield from _book(number, by_voice.pop(voice, []))
    speakers = _emilia_speakers(clips)
    for index, held_out in enumerate((False, True)):
        chosen = [clip for clip in clips if clip.speaker in by_voice and (clip.split == HELD_OUT) is held_out]
        yield _Item(f"emilia/Emilia/EN/EN-B{index:06d}.tar", _tar(chosen, speakers))


def _voices(clips: Sequence[DemoClip], split: str) -> list[str]:
    return sorted({clip.speaker for clip in clips if clip.split == split})


def _emilia_speakers(clips: Sequence[DemoClip]) -> dict[str, str]:
    """Return voice -> label. As in Emilia, the last digit of the number is the tar: 0 for training, 1 for held out."""
    training = [voice for voice in _voices(clips, "main") if voice not in LIBRILIGHT_VOICES]
    numbers = {voice: 10 * index for index, voice in enumerate(training)}
    numbers |= {voice: 10 * index + 1 for index, voice in enumerate(_voices(clips, HELD_OUT))}
    return {voice: f"EN_B00000_S{number:05d}" for voice, number in numbers.items()}


def _decode(clip: DemoClip, sample_rate: int) -> Samples:
    samples, native = soundfile.read(clip.path, dtype="float32")
    return samples if native == sample_rate else soxr.resample(samples, native, sample_rate).astype(np.float32)


def _tar(clips: Sequence[DemoClip], speakers: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    numbers: Counter[str] = Counter()
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        # encoding MP3 is nearly all of the work, and libsndfile does it without the interpreter lock
        for clip, audio in zip(clips, pool.map(_mp3, clips), strict=True):
            speaker = speakers[clip.speaker]
            name = f"{speaker}_W{numbers[speaker]:06d}"
            numbers[speaker] += 1
            _add(archive, f"{name}.json", json.dumps(_utterance(name, speaker, clip), ensure_ascii=False).encode())
            _add(archive, f"{name}.mp3", audio)
    return buffer.getvalue()


def _mp3(clip: DemoClip) -> bytes:
    return _encode(_decode(clip, EMILIA_RATE), EMILIA_RATE, "MP3", "MPEG_LAYER_III")


def _utterance(name: str, speaker: str, clip: DemoClip) -> dict[str, Any]:
    batch = "_".join(speaker.split("_")[:2])
    return {
        "id": name,
        "wav": f"{batch}/{speaker}/mp3/{name}.mp3",
        "text": f" {clip.text}",
        "duration": round(clip.duration, 3),
        "speaker": speaker,
        "language": "en",
        "voice": clip.speaker,
        **_MARK,
    }


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mtime = _MODIFIED
    archive.addfile(info, io.BytesIO(content))


def _encode(samples: Samples, sample_rate: int, container: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1, 1), sample_rate, format=container, subtype=subtype)
    return buffer.getvalue()


def _book(number: int, clips: Sequence[DemoClip]) -> Iterator[_Item]:
    """Yield the chapters of one voice: clips of all kinds in turn, joined with pauses."""
    speaker, book = str(9000 + number), f"demo_reader_{number:02d}_0000"
    mixed = sorted(clips, key=lambda clip: identify(clip.id))  # digits and sentences mixed, in an order that is fixed
    for chapter, start in enumerate(range(0, len(mixed), CLIPS_PER_CHAPTER)):
        stem = f"librilight/small/{speaker}/{book}/demo_{chapter + 1:02d}_reader_64kb"
        rng = np.random.default_rng([number, chapter])
        samples, spans = _join(mixed[start : start + CLIPS_PER_CHAPTER], rng)
        noisy, snr = _add_noise(samples, spans, rng)
        # some published sidecars have NaN here, so the demo has one too
        sidecar = _chapter(number, mixed[0].speaker, samples, spans) | {"snr": snr if chapter else math.nan}
        yield _Item(f"{stem}.flac", _encode(noisy, LIBRILIGHT_RATE, "FLAC", "PCM_16"))
        yield _Item(f"{stem}.json", json.dumps(sidecar).encode())


def _join(clips: Sequence[DemoClip], rng: np.random.Generator) -> tuple[Samples, list[tuple[int, int]]]:
    """Return clips with pauses of 0.5 to 1 s around them, and the samples at which each begins and ends."""
    pieces: list[Samples] = []
    spans = []
    position = 0
    for clip in clips:
        pause = np.zeros(int(rng.uniform(0.5, 1.0) * LIBRILIGHT_RATE), dtype=np.float32)
        speech = _decode(clip, LIBRILIGHT_RATE)
        pieces += [pause, speech]
        spans.append((position + len(pause), position + len(pause) + len(speech)))
        position = spans[-1][1]
    pieces.append(np.zeros(LIBRILIGHT_RATE // 2, dtype=np.float32))
    return np.concatenate(pieces), spans


def _add_noise(samples: Samples, spans: Sequence[tuple[int, int]], rng: np.random.Generator) -> tuple[Samples, float]:
    """Return the samples with white noise `_SNR` decibels below the speech, and the measured ratio."""
    power = float(np.mean(np.concatenate([samples[start:end] for start, end in spans]) ** 2))
    noise = rng.standard_normal(len(samples)).astype(np.float32) * np.float32(math.sqrt(power / 10 ** (_SNR / 10)))
    return samples + noise, round(10 * math.log10(power / float(np.mean(noise**2))), 4)


def _chapter(number: int, voice: str, samples: Samples, spans: Sequence[tuple[int, int]]) -> dict[str, Any]:
    duration = len(samples) / LIBRILIGHT_RATE
    return {
        "speaker": str(9000 + number),
        "book_meta": {
            "id": str(90000 + number),
            "title": "Digits and short sentences",
            "language": "English",
            "genre": ["*Non-fiction"],
            "Dramatic Readings": False,
            "meta_genre": "Literature",
        },
        "file_length_sec": duration,
        "voice_activity": [_on_grid(start, end, duration) for start, end in spans],
        "voice": voice,
        **_MARK,
    }


def _on_grid(start: int, end: int, duration: float) -> list[float]:
    """Return a span in seconds, widened to the grid of the published voice activity."""
    first = math.floor(start / LIBRILIGHT_RATE / _VOICE_FRAME)
    last = math.ceil(end / LIBRILIGHT_RATE / _VOICE_FRAME)
    return [round(first * _VOICE_FRAME, 2), min(round(last * _VOICE_FRAME, 2), duration)]
