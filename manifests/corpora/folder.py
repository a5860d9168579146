"""Any folder of audio files, each with an optional text file of the same stem."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from manifests.corpus import CorpusOptions, Source
from manifests.reading.audio_files import AUDIO_SUFFIXES
from manifests.reading.inspection import inspect_file
from manifests.reading.listing import file_source, require_folder, walk
from manifests.reading.recording import CorpusMetadata, audio_source_of, build_row
from manifests.reading.sidecar import read_text
from warehouse.rows import RecordingRow, SourceRow


@dataclass(frozen=True, slots=True)
class Folder:
    """Reader of a folder of audio in any format that libsndfile knows.

    `part` is the first folder below the root. With `options.speaker_from_folder` the folder that holds a file names
    its speaker; files that lie in the root itself then have none.
    """

    kind: ClassVar[str] = "folder"
    version: ClassVar[int] = 1

    root: Path
    name: str = "folder"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Every audio file below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        for found in walk(self.root, AUDIO_SUFFIXES):
            yield file_source(found, _text_path(found.path))

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """The one recording of `source`."""
        folders = PurePosixPath(source.relative_path).parts[:-1]
        beside = read_text(_text_path(source.path))
        said = CorpusMetadata(
            part=folders[0] if folders else "",
            speaker=folders[-1] if self.options.speaker_from_folder and folders else None,
            text=beside.text,
            faults=(beside.fault,),
        )
        yield build_row(self, source, audio_source_of(source), inspect_file(source.path), said)


def _text_path(audio: str) -> str:
    return os.path.splitext(audio)[0] + ".txt"  # noqa: PTH122 - a string, as in the listing
