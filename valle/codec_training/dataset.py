"""Training audio of a codec: memory maps of samples and pitch, and random crops of both."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valle.audio import AudioLocation, Samples, UnreadableAudio, read_audio, resample
from valle.codec_training.pitch import fill_pitch, track_pitch
from valle.reporting import write_text
from warehouse.errors import TrainingError

log = logging.getLogger(__name__)
FULL_SCALE = 32767
_INDEX = "audio.json"
# Resolution of the speed: steps of a thousandth.
_SPEED_STEPS = 1000


@dataclass(frozen=True, slots=True)
class Crops:
    """Excerpts of whole hops: samples [B, T * hop], and log2 hertz, voicing, presence (0 in padding), each [B, T]."""

    samples: Samples
    pitch: NDArray[np.float32]
    voicing: NDArray[np.float32]
    presence: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SpeechPool:
    """Clips laid end to end, padded to whole hops: clip i is frames `starts[i]` to `starts[i + 1]`."""

    samples: NDArray[np.int16]
    hertz: NDArray[np.float32]
    starts: NDArray[np.int64]
    hop_length: int

    def crops(
        self,
        num_crops: int,
        num_frames: int,
        *,
        rng: np.random.Generator,
        speeds: tuple[float, float] = (1.0, 1.0),
    ) -> Crops:
        """Draw crops of `num_frames` hops uniformly over the speech; short clips are padded.

        Each crop is resampled by a factor drawn between the two of `speeds`: pitch and formants move with the speed.
        """
        sizes, hop = np.diff(self.starts), self.hop_length
        chosen = rng.choice(len(sizes), num_crops, p=sizes / sizes.sum())
        samples = np.zeros((num_crops, num_frames * hop), np.float32)
        pitch, voicing, presence = (np.zeros((num_crops, num_frames), np.float32) for _ in range(3))
        for row, clip in enumerate(chosen):
            speed = rng.uniform(*speeds)
            num_played = math.ceil(num_frames * speed)
            first = self.starts[clip] + rng.integers(max(1, sizes[clip] - num_played + 1))
            last = min(first + num_played, self.starts[clip + 1])
            sound = _change_speed((self.samples[first * hop : last * hop] / FULL_SCALE).astype(np.float32), speed)
            length = min(num_frames, len(sound) // hop)
            samples[row, : length * hop] = sound[: length * hop]
            # The frame of the recording at the centre of each resampled frame.
            frames = ((np.arange(length) + 0.5) * speed).astype(np.int64).clip(max=last - first - 1)
            log_hertz, is_voiced = fill_pitch(self.hertz[first:last])
            pitch[row, :length], voicing[row, :length] = log_hertz[frames] + np.log2(speed), is_voiced[frames]
            pitch[row, length:] = pitch[row, length - 1]
            presence[row, :length] = 1
        return Crops(samples, pitch, voicing, presence)

    def clip(self, index: int) -> Samples:
        """Return the samples of one clip."""
        first, last = self.starts[index] * self.hop_length, self.starts[index + 1] * self.hop_length
        return (self.samples[first:last] / FULL_SCALE).astype(np.float32)


def _change_speed(samples: Samples, speed: float) -> Samples:
    """Resample [N] to about N / speed samples: speed perturbation with pitch and formants."""
    return samples if speed == 1 else resample(samples, round(_SPEED_STEPS * speed), _SPEED_STEPS)


def _decode(clips: Sequence[AudioLocation], sample_rate: int, hop_length: int, audio: Path, pitch: Path) -> list[int]:
    sizes = []
    with audio.open("wb") as samples_output, pitch.open("wb") as pitch_output:
        for clip in clips:
            try:
                samples = read_audio(clip, sample_rate).samples
            except UnreadableAudio as error:
                log.warning("skipped in the training audio: %s", error)
                continue
            padded = np.pad(samples, (0, -len(samples) % hop_length))
            (np.clip(padded, -1, 1) * FULL_SCALE).astype(np.int16).tofile(samples_output)
            track_pitch(padded, sample_rate, hop_length).tofile(pitch_output)
            sizes.append(len(padded) // hop_length)
    return sizes


def open_speech_pool(
    clips: Sequence[AudioLocation], directory: Path, *, sample_rate: int, hop_length: int
) -> SpeechPool:
    """Open clips as memory maps in `directory`, decoded on the first call; later calls need the same clips.

    Raises TrainingError when nothing can be decoded or when `directory` holds the audio of other clips.
    """
    index_path, audio_path, pitch_path = (directory / name for name in (_INDEX, "audio.i16", "pitch.f32"))
    described = [[clip.path, clip.offset, clip.start_sample, clip.num_samples] for clip in clips]
    shape = {"clips": described, "sample_rate": sample_rate, "hop_length": hop_length}
    if not index_path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        sizes = _decode(clips, sample_rate, hop_length, audio_path, pitch_path)
        if not sizes:
            raise TrainingError(f"none of the {len(clips)} training clips can be decoded; check the paths given")
        # The index is written last: without it the maps are decoded again.
        write_text(index_path, json.dumps(shape | {"sizes": sizes}))
    index = json.loads(index_path.read_text())
    if {name: index.get(name) for name in shape} != shape:
        raise TrainingError(f"{directory} holds the audio of other clips; give another run directory")
    starts = np.concatenate([[0], np.cumsum(index["sizes"])]).astype(np.int64)
    samples = np.memmap(audio_path, np.int16, mode="r")
    return SpeechPool(samples, np.memmap(pitch_path, np.float32, mode="r"), starts, hop_length)


def describe_audio(directory: Path) -> str:
    """Return a description of the amount of speech in the pool of `directory`."""
    index = json.loads((directory / _INDEX).read_text())
    hours = sum(index["sizes"]) * index["hop_length"] / index["sample_rate"] / 3600
    return f"{len(index['sizes']):,} clips, {hours:.2f} hours"
