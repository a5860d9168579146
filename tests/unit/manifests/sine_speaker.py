"""A synthesizer of tones for the tests of synthesis; as a program, it makes a corpus until it is killed.

python sine_speaker.py OUT HOURS
"""

import sys
import zlib
from pathlib import Path

import numpy as np

from manifests.synthesis.kokoro import SynthesizedSpeech
from manifests.synthesis.synthesize import CorpusSynthesisOptions, synthesize

VOICES = ("af_one", "am_two", "bf_three")
HELD_OUT = ("bm_four", "af_five")


class SineSpeaker:
    """A voice is a pitch, a word is 20 ms; 0.3 s of silence lie at both ends."""

    sample_rate = 24_000

    def __init__(self, *, loudness: float = 0.5, strength: int = 10**9) -> None:
        self.loudness = loudness
        self.strength = strength
        """Number of texts that it synthesizes before it breaks."""

    def speak(self, text: str, *, voice: str, speed: float) -> SynthesizedSpeech:
        if self.strength == 0:
            raise KeyboardInterrupt
        self.strength -= 1
        pitch = 100 + zlib.crc32(f"{voice}{text}".encode()) % 300
        time = np.arange(int(480 * len(text.split()) / speed)) / self.sample_rate
        tone = self.loudness * np.sin(2 * np.pi * pitch * time)
        return SynthesizedSpeech(np.pad(tone, 7200).astype(np.float32), text.lower())


def small(out: Path, **changes) -> CorpusSynthesisOptions:
    """Options for a corpus of a few seconds."""
    given = {"hours": 5 / 3600, "voices": VOICES, "held_out_voices": HELD_OUT, "test_clips": 2}
    return CorpusSynthesisOptions(out=out, **(given | changes))


if __name__ == "__main__":
    synthesize(small(Path(sys.argv[1]), hours=float(sys.argv[2])), SineSpeaker())
