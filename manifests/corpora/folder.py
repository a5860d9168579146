"""Read any folder of audio files, each with an optional text file of the same stem."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from manifests.audio.inspection import inspect_file
from manifests.audio.suffixes import AUDIO_SUFFIXES, UNSUPPORTED_SUFFIXES
from manifests.corpus import CorpusOptions, Source
from manifests.reading.listing import file_source, require_folder, walk
from manifests.reading.recording import CorpusMetadata, audio_source_of, build_rows
from manifests.reading.sidecar import read_text
from warehouse.rows import RecordingRow, SourceRow


@dataclass(frozen=True, slots=True)
class Folder:
    """Reader of a folder of audio in any format that libsndfile decodes.

    The subset is the first folder below the root. With `options.speaker_from_folder` the folder of a file
    names its speaker; files in the root itself then have none.
    """

    kind: ClassVar[str] = "folder"
    version: ClassVar[int] = 2

    root: Path
    name: str = "folder"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield every audio file below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        for found in walk(self.root, AUDIO_SUFFIXES | UNSUPPORTED_SUFFIXES):
            yield file_source(found, _text_path(found.path))

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the recordings of `source`, one for each channel that is read."""
        folders = PurePosixPath(source.relative_path).parts[:-1]
        text = read_text(_text_path(source.path))
        metadata = CorpusMetadata(
            subset=folders[0] if folders else "",
            speaker=folders[-1] if self.options.speaker_from_folder and folders else None,
            text=text.text,
            faults=(text.fault,),
        )
        inspection = inspect_file(source.path, self.options.channels)
        yield from build_rows(self, source, audio_source_of(source), inspection, metadata)


def _text_path(audio: str) -> str:
    return os.path.splitext(audio)[0] + ".txt"  # noqa: PTH122 - a string, as in the listing
