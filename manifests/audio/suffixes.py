"""Recognise audio files by their suffix, in any case: the one list that readers and evaluation share."""

import os

AUDIO_SUFFIXES = frozenset(
    {".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".snd", ".w64", ".wav"}
)
"""Suffixes, in lower case, of the formats that libsndfile decodes."""


def is_audio_name(name: str) -> bool:
    """Return whether the suffix of a file name, in any case, is that of an audio format."""
    return os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES  # noqa: PTH122 - also for names inside archives
