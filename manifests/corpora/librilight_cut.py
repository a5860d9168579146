"""Read LibriLight after its own cutting by voice activity: `<speaker>/<book id>/<chapter>_NNNN.flac`, no sidecars.

The published script glues speech slices up to a target length and deletes the silences between them, so a piece's
time is not the chapter's time, and it writes neither the mapping nor a sidecar.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from manifests.audio.inspection import inspect_file
from manifests.corpora.librilight import LibriLight
from manifests.corpus import CorpusOptions, Source
from manifests.reading.listing import file_source, require_folder, walk
from manifests.reading.recording import CorpusMetadata, audio_source_of, build_rows
from warehouse.rows import RecordingRow, SourceRow

_PIECE = re.compile(r"^(?P<chapter>.+)_(?P<piece>\d+)$")


@dataclass(frozen=True, slots=True)
class LibriLightCut:
    """Reader of cut LibriLight; speaker and book id are the two folders above a piece.

    `extra` has the chapter and the number of the piece; the subset is the path above the speaker.
    """

    kind: ClassVar[str] = "librilight-cut"
    version: ClassVar[int] = 2

    root: Path
    name: str = "librilight-cut"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield every FLAC below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        for found in walk(self.root, frozenset({".flac"})):
            yield file_source(found)

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the recordings of `source`, one for each channel that is read."""
        path = PurePosixPath(source.relative_path)
        folders = path.parts[:-1]
        piece = _PIECE.match(path.stem)
        metadata = CorpusMetadata(
            subset="/".join(folders[:-2]),
            licence=LibriLight.licence,
            speaker=folders[-2] if len(folders) >= 2 else None,
            language="en",
            book=folders[-1] if folders else None,
            extra={"chapter": piece["chapter"], "piece": int(piece["piece"])} if piece else {},
            faults=() if piece and len(folders) >= 2 else ("path is not <speaker>/<book>/<chapter>_NNNN.flac",),
        )
        inspection = inspect_file(source.path, self.options.channels)
        yield from build_rows(self, source, audio_source_of(source), inspection, metadata)
