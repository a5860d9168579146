"""Define which files are audio, for corpora and for folders to be scored alike."""

from collections.abc import Iterator
from pathlib import Path

from manifests.reading.listing import FoundFile, walk

AUDIO_SUFFIXES = frozenset(
    {".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav"}
)
"""Suffixes of the formats of libsndfile, in lower case; the case of a file name does not matter."""


def find_audio_files(root: Path) -> Iterator[FoundFile]:
    """Yield the audio files below a folder in sorted order; hidden names are skipped, see `walk`."""
    return walk(root, AUDIO_SUFFIXES)
