"""Find audio files below a folder."""

import stat
from collections.abc import Iterator
from pathlib import Path

from manifests.audio.suffixes import AUDIO_SUFFIXES
from manifests.reading.listing import walk


def find_audio_files(folder: Path) -> Iterator[Path]:
    """Yield the regular audio files below `folder`, sorted, subfolders included.

    Hidden names, dangling links, folders with an audio suffix and special files are left out.
    """
    for found in walk(folder, AUDIO_SUFFIXES):
        try:
            is_regular = stat.S_ISREG(Path(found.path).stat().st_mode)
        except OSError:
            continue
        if is_regular:
            yield Path(found.path)
