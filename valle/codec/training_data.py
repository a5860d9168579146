"""The training audio of a codec, decoded once into a memory map of 16-bit samples, and random crops of it."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valle.audio import AudioLocation, Samples, UnreadableAudio, read_audio
from warehouse.errors import TrainingError

log = logging.getLogger(__name__)
FULL_SCALE = 32767


@dataclass(frozen=True)
class SpeechPool:
    """Clips laid end to end: clip i is `samples[starts[i] : starts[i + 1]]`."""

    samples: NDArray[np.int16]
    starts: NDArray[np.int64]

    def crops(self, num_crops: int, length: int, *, rng: np.random.Generator) -> Samples:
        """Random crops float32 [B, length], every stretch of speech as likely as any other; short clips are padded."""
        sizes = np.diff(self.starts)
        chosen = rng.choice(len(sizes), num_crops, p=sizes / sizes.sum())
        crops = np.zeros((num_crops, length), np.float32)
        for row, clip in enumerate(chosen):
            first = rng.integers(max(1, sizes[clip] - length + 1))
            begin = self.starts[clip] + first
            crop = self.samples[begin : min(begin + length, self.starts[clip + 1])]
            crops[row, : len(crop)] = crop
        return crops / np.float32(FULL_SCALE)


def _decode(clips: Sequence[AudioLocation], sample_rate: int, path: Path) -> list[int]:
    sizes = []
    with path.open("wb") as output:
        for clip in clips:
            try:
                samples = read_audio(clip, sample_rate).samples
            except UnreadableAudio as error:
                log.warning("left out of the training audio: %s", error)
                continue
            (np.clip(samples, -1, 1) * FULL_SCALE).astype(np.int16).tofile(output)
            sizes.append(len(samples))
    return sizes


def open_speech_pool(clips: Sequence[AudioLocation], sample_rate: int, directory: Path) -> SpeechPool:
    """The clips as a memory map in `directory`, decoded on the first call; the same clips must come on every later one.

    Raises TrainingError when nothing can be decoded or when `directory` holds the audio of other clips.
    """
    index_path, audio_path = directory / "audio.json", directory / "audio.i16"
    wanted = [[clip.path, clip.offset, clip.start_sample, clip.num_samples] for clip in clips]
    if not index_path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        partial = audio_path.with_suffix(".tmp")
        sizes = _decode(clips, sample_rate, partial)
        if not sizes:
            raise TrainingError(f"none of the {len(clips)} training clips can be decoded; check the paths given")
        partial.replace(audio_path)
        partial.write_text(json.dumps({"clips": wanted, "sample_rate": sample_rate, "sizes": sizes}))
        partial.replace(index_path)
    index = json.loads(index_path.read_text())
    if index["clips"] != wanted or index["sample_rate"] != sample_rate:
        raise TrainingError(f"{directory} holds the audio of other clips; give another run directory")
    starts = np.concatenate([[0], np.cumsum(index["sizes"])])
    return SpeechPool(np.memmap(audio_path, np.int16, mode="r"), starts.astype(np.int64))
