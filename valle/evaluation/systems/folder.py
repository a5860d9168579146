"""Evaluate a folder of audio files that another program wrote."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from manifests.audio.audio_files import find_audio_files
from valle.audio import AudioLocation, UnreadableAudio, read_audio
from valle.backends.registry import Backends
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.audio_files import pending, speech_path, write_failure, write_speech
from valle.evaluation.systems.base import MAX_SECONDS
from warehouse.errors import ConfigurationError
from warehouse.fingerprints import short_hash

_MAX_NAMED = 3  # files in an error message


@dataclass(frozen=True, slots=True)
class FolderSystem:
    """A folder of `<utterance>.wav` files, in any format and folder depth that corpora may have.

    Further trials of an utterance are `<utterance>-1.wav`, `<utterance>-2.wav`. Under a continuation a file contains
    the whole text, prompt included.
    """

    folder: Path
    name: str
    checkpoint_id: None = None
    max_seconds: float = MAX_SECONDS

    @property
    def identity(self) -> str:
        """See `System`: names and contents of the files. Raise ConfigurationError without a folder."""
        # Whole files: a sample of the bytes of two recordings with silent ends may be equal.
        return short_hash("\n".join(f"{name} {_content_hash(path)}" for name, path in self._files().items()))

    def speak(self, items: Sequence[EvaluationItem], directory: Path, backends: Backends) -> None:
        """See `System`: copy the files. Raise ConfigurationError when no item has a file, or one has several."""
        by_stem: dict[str, list[Path]] = {}
        for name, path in self._files().items():
            by_stem.setdefault(PurePath(name).stem, []).append(path)
        candidates = {(item.utterance, item.trial): _candidates(item, by_stem) for item in items}
        self._require_one_file_each(candidates)
        if not any(candidates.values()):
            raise ConfigurationError(
                f"{self.folder} has no speech of any of the {len(items)} items; its files should be called like "
                f"{items[0].utterance}.wav."
            )
        for item in pending(items, self.name, directory):
            target = speech_path(directory, self.name, item)
            paths = candidates[item.utterance, item.trial]
            failure = self._copy(paths[0], target, item) if paths else "there is no file"
            if failure:
                write_failure(target, failure)

    def _files(self) -> dict[str, Path]:
        """Return the audio files by their path below the folder, in sorted order."""
        if not self.folder.is_dir():
            raise ConfigurationError(f"There is no folder {self.folder}; give one of <utterance>.wav files.")
        root = self.folder.absolute()
        return {path.relative_to(root).as_posix(): path for path in find_audio_files(root)}

    def _require_one_file_each(self, candidates: Mapping[tuple[str, int], Sequence[Path]]) -> None:
        ambiguous = {key: paths for key, paths in candidates.items() if len(paths) > 1}
        # A silent choice would make the score depend on the order of formats.
        if ambiguous:
            (utterance, trial), paths = next(iter(ambiguous.items()))
            names = ", ".join(str(path.relative_to(self.folder.absolute())) for path in paths[:_MAX_NAMED])
            raise ConfigurationError(
                f"{self.folder} has several files for {len(ambiguous)} items, such as {names} for trial {trial} of "
                f"{utterance}; keep one of them."
            )

    def _copy(self, path: Path, target: Path, item: EvaluationItem) -> str:
        """Write the speech of one file; return why there is none, or an empty string."""
        try:
            audio = read_audio(AudioLocation(str(path)))
        except UnreadableAudio as error:
            return f"the file cannot be read ({error.reason}: {error.detail})"
        if audio.duration > self.max_seconds:
            return f"longer than {self.max_seconds:g} s"
        write_speech(target, audio, item)
        return ""


def _candidates(item: EvaluationItem, by_stem: Mapping[str, Sequence[Path]]) -> list[Path]:
    """Return the files of an item: `<utterance>-<trial>`, and `<utterance>` for the first trial."""
    stems = [f"{item.utterance}-{item.trial}", *([item.utterance] if item.trial == 0 else [])]
    return list(itertools.chain.from_iterable(by_stem.get(stem, ()) for stem in stems))


def _content_hash(path: Path) -> str:
    """Return the hash of the whole file; a file without permission to read counts as missing speech."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return "unreadable"
