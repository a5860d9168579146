"""Systems that an evaluation can measure, and the simplest: a folder of audio that somebody else made.

A checkpoint of ours is in `checkpoint.py`, the command line of another system in `command.py`. All are measured by the
same code.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from valle.audio import AudioLocation, UnreadableAudio, read_audio
from valle.backends.registry import Backends
from valle.backends.weights import file_revision
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.audio_files import keep_failure, keep_speech, pending, speech_path
from warehouse.errors import ConfigurationError
from warehouse.fingerprints import short_hash

_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


LONGEST_SECONDS = 60.0
"""Of an utterance of a system that does not say how long its speech may be."""


class System(Protocol):
    """Something that speaks. `identity` changes whenever its speech may change."""

    @property
    def name(self) -> str:
        """What score rows and reports call it."""

    @property
    def identity(self) -> str:
        """Everything that its speech depends on but the items."""

    @property
    def checkpoint_id(self) -> str | None:
        """The checkpoint of ours that speaks, if one does."""

    @property
    def longest_seconds(self) -> float:
        """What is longer is not one utterance any more."""

    def speak(self, items: Sequence[EvaluationItem], directory: Path, backends: Backends) -> None:
        """Write the speech of every item that has none yet below `directory`."""


def check_system_name(name: str) -> str:
    """`name` itself. Raises ConfigurationError for what cannot be the name of a folder."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"A system's name has letters, digits, dots, dashes and underscores, unlike {name!r}.")
    return name


@dataclass(frozen=True, slots=True)
class FolderSystem:
    """A folder of `<utterance>.wav` (or .flac, .ogg, .opus, .mp3) that somebody else made.

    Further trials of an utterance are `<utterance>-1.wav`, `<utterance>-2.wav`. Under a continuation a file holds the
    whole text, prompt included.
    """

    folder: Path
    name: str
    checkpoint_id: None = None
    longest_seconds: float = LONGEST_SECONDS

    @property
    def identity(self) -> str:
        """See `System`: names and contents of the files."""
        if not self.folder.is_dir():
            raise ConfigurationError(f"There is no folder {self.folder}; give one of <utterance>.wav files.")
        files = sorted(path for path in self.folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        return short_hash("\n".join(f"{path.name} {file_revision(path)}" for path in files))

    def speak(self, items: Sequence[EvaluationItem], directory: Path, backends: Backends) -> None:
        """See `System`: copies what is there. Raises ConfigurationError when no item has a file."""
        files = {path.name: path for path in self.folder.iterdir() if path.suffix.lower() in _SUFFIXES}
        found = [self._file(item, files) for item in items]
        if not any(found):
            raise ConfigurationError(
                f"{self.folder} holds no speech of any of the {len(items)} items; its files should be called like "
                f"{items[0].utterance}.wav."
            )
        wanted = {(item.utterance, item.trial) for item in pending(items, self.name, directory)}
        for item, file in zip(items, found, strict=True):
            if (item.utterance, item.trial) not in wanted:
                continue
            path = speech_path(directory, self.name, item)
            if file is None:
                keep_failure(path, "there is no file")
                continue
            try:
                keep_speech(path, read_audio(AudioLocation(str(file))), item)
            except UnreadableAudio as error:
                keep_failure(path, f"the file cannot be read ({error.reason}: {error.detail})")

    @staticmethod
    def _file(item: EvaluationItem, files: dict[str, Path]) -> Path | None:
        stems = [f"{item.utterance}-{item.trial}", *([item.utterance] if item.trial == 0 else [])]
        names = [f"{stem}{suffix}" for stem in stems for suffix in _SUFFIXES]
        return next((files[name] for name in names if name in files), None)
