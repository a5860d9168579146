"""A few clips of the demo corpus at 16 kHz, with their texts."""

from dataclasses import dataclass

from manifests.demo.clips import demo_clips
from valle.audio import AudioLocation, Samples, read_audio


@dataclass(frozen=True)
class Clip:
    speaker: str
    text: str
    samples: Samples


def sentences(count: int, *, speakers: tuple[str, ...] | None = None) -> list[Clip]:
    """The first sentences of different voices, or of the voices named (several of each)."""
    chosen: list[Clip] = []
    for clip in demo_clips():
        is_new = clip.speaker not in [found.speaker for found in chosen]
        if clip.kind == "sentence" and (clip.speaker in speakers if speakers else is_new):
            samples = read_audio(AudioLocation(str(clip.path)), 16_000).samples
            chosen.append(Clip(clip.speaker, clip.text, samples))
        if len(chosen) == count:
            break
    return chosen
