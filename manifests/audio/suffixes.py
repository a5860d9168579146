"""Recognise audio files by their suffix, in any case: the one list that readers and evaluation share."""

import os

AUDIO_SUFFIXES = frozenset(
    {
        *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".nist", ".oga", ".ogg", ".opus", ".rf64", ".snd"),
        *(".sph", ".w64", ".wav", ".wave"),
    }
)
"""Suffixes, in lower case, of the formats that libsndfile decodes."""

UNSUPPORTED_SUFFIXES = frozenset({".aac", ".amr", ".ape", ".m4a", ".m4b", ".mka", ".webm", ".wma", ".wv"})
"""Suffixes of audio that libsndfile does not decode; a folder lists it, so that each file is a row with a reason."""


def is_audio_name(name: str) -> bool:
    """Return whether the suffix of a file name, in any case, is that of an audio format."""
    return os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES  # noqa: PTH122 - also for names inside archives
