"""Read noises and room impulse responses: any folder, and the layouts of MUSAN, DEMAND and RIRS_NOISES.

A recording has no speaker, no language and no text. Its class is in `genre`: `noise`, `music`, `babble` (speech of
others) or `rir` (an impulse response), from the names of its folders; a file of any other folder is `noise`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from manifests.audio.inspection import inspect_file
from manifests.audio.suffixes import AUDIO_SUFFIXES
from manifests.corpus import CorpusOptions, Source
from manifests.reading.listing import file_source, require_folder, walk
from manifests.reading.recording import CorpusMetadata, audio_source_of, build_rows
from warehouse.rows import RecordingRow, SourceRow

# The class that a folder's name tells; those of MUSAN and of RIRS_NOISES are among them.
_CLASSES = {
    "noise": "noise",
    "music": "music",
    "speech": "babble",
    "babble": "babble",
    "rir": "rir",
    "rirs": "rir",
    "simulated_rirs": "rir",
    "real_rirs_isotropic_noises": "rir",
}
_MUSAN = frozenset({"music", "noise", "speech"})


@dataclass(frozen=True, slots=True)
class Noise:
    """Reader of a folder of noises. The subset is the first folder, the book the folder of the file.

    DEMAND has sixteen microphones of each place, `ch01` to `ch16`: the first alone is read, since the others are the
    same noise.
    """

    kind: ClassVar[str] = "noise"
    version: ClassVar[int] = 1

    root: Path
    name: str = "noise"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield every audio file below the root but further microphones; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        for found in walk(self.root, AUDIO_SUFFIXES):
            if not _is_further_microphone(PurePosixPath(found.relative_path).stem):
                yield file_source(found)

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the recordings of `source`, one for each channel that is read."""
        folders = PurePosixPath(source.relative_path).parts[:-1]
        metadata = CorpusMetadata(
            subset=folders[0] if folders else "",
            licence="CC-BY-4.0" if self._is_musan() else "unknown",
            book=folders[-1] if folders else None,
            genre=noise_class(folders),
        )
        inspection = inspect_file(source.path, self.options.channels)
        yield from build_rows(self, source, audio_source_of(source), inspection, metadata)

    def _is_musan(self) -> bool:
        return all((self.root / name).is_dir() for name in _MUSAN)


def noise_class(folders: tuple[str, ...]) -> str:
    """Return the class that the innermost known folder tells; `noise` without one."""
    known = [_CLASSES[name.lower()] for name in folders if name.lower() in _CLASSES]
    return known[-1] if known else "noise"


def _is_further_microphone(stem: str) -> bool:
    return len(stem) == 4 and stem.startswith("ch") and stem[2:].isdigit() and stem != "ch01"
