"""Place short clips in windows of Whisper, several to one, with silence between them.

The encoder computes a whole window however short its clip is. A packed window is encoded once; each clip is then
decoded over the frames of its own part, those of other clips replaced by frames of silence. So no word is assigned to
another clip, and the text of one clip is no context of the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from valle.audio import Samples

FRAMES = 1500
"""Frames of the encoder in a window of 30 s."""
SAMPLES_PER_FRAME = 320
GAPS = (50, 150)
"""Frames of silence between two clips of a window, and between those that are packed once more."""
_EARLY_FRAMES = 150  # 3 s, as for clips alone
LONGEST_PACKED = 10 * 50 * SAMPLES_PER_FRAME
"""Samples of the longest clip that is packed: of longer ones a window holds too few."""


@dataclass(frozen=True, slots=True)
class PackedClip:
    """The part of a window that holds clip `index`: its speech begins at frame `start`, silence is on both sides."""

    index: int
    start: int
    num_frames: int
    gap: int

    @property
    def part(self) -> slice:
        """Frames of the clip with half of the gaps around it."""
        half = self.gap // 2
        return slice(self.start - half, min(self.start + self.num_frames + half, FRAMES))

    def stopped_early(self, last: int) -> bool:
        """Return whether the last timestamp, a frame of the window, is 3 s or more before the end of the clip."""
        return last < self.start + self.num_frames - _EARLY_FRAMES


def place_clips(waveforms: Mapping[int, Samples], gap: int) -> list[list[PackedClip]]:
    """Place clips in windows, longest first, each window filled before the next; longer clips are left out.

    No window holds a single clip: what is left over gains nothing.
    """
    windows: list[list[PackedClip]] = []
    used = FRAMES
    for index, samples in sorted(waveforms.items(), key=lambda item: -len(item[1])):
        if len(samples) > LONGEST_PACKED:
            continue
        num_frames = -(-len(samples) // SAMPLES_PER_FRAME)
        if used + num_frames + gap > FRAMES:
            windows.append([])
            used = 0
        windows[-1].append(PackedClip(index, used + gap // 2, num_frames, gap))
        used += num_frames + gap
    return [window for window in windows if len(window) > 1]


def fill_window(window: Sequence[PackedClip], waveforms: Mapping[int, Samples]) -> Samples:
    """Return 30 s of samples with the clips at their places."""
    filled = np.zeros(FRAMES * SAMPLES_PER_FRAME, np.float32)
    for place in window:
        clip = waveforms[place.index]
        start = place.start * SAMPLES_PER_FRAME
        filled[start : start + len(clip)] = clip
    return filled


def isolate(encoded: NDArray[np.float32], silence: NDArray[np.float32], place: PackedClip) -> NDArray[np.float32]:
    """Return the encoder's output [1500, dim] with silence at all frames but those of one clip."""
    alone = silence.copy()
    alone[place.part] = encoded[place.part]
    return alone
