"""Read LibriLight as published: `<part>/<speaker>/<book>/<chapter>.flac` with a JSON file of the same stem, no text.

Kahn et al. 2020, "Libri-Light: A Benchmark for ASR with Limited or No Supervision".
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from manifests.audio.inspection import inspect_file
from manifests.corpus import CorpusOptions, Source
from manifests.reading.languages import read_language
from manifests.reading.listing import file_source, require_folder, walk
from manifests.reading.recording import CorpusMetadata, audio_source_of, build_rows
from manifests.reading.sidecar import Sidecar, read_json
from manifests.reading.values import MetadataValues, label_of, number_of, spans_of, text_of
from warehouse.rows import RecordingRow, SourceRow


@dataclass(frozen=True, slots=True)
class LibriLight:
    """Reader of LibriLight; `root` has the subsets (`small`, `medium`, ...) or is one of them.

    The speaker, book id, folded genre, SNR and voice activity of the JSON become columns; every other key, and the
    whole book record, is kept in `extra`. A file without readable JSON is a row with its folder as the speaker.
    """

    kind: ClassVar[str] = "librilight"
    version: ClassVar[int] = 2
    licence: ClassVar[str] = "LicenseRef-PublicDomain"  # LibriVox; SPDX has no identifier for the public domain

    root: Path
    name: str = "librilight"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield every FLAC below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        for found in walk(self.root, frozenset({".flac"})):
            yield file_source(found, sidecar_path(found.path))

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the recordings of `source`, one for each channel that is read."""
        inspection = inspect_file(source.path, self.options.channels)
        sidecar = read_json(sidecar_path(source.path))
        metadata = metadata_of(sidecar, PurePosixPath(source.relative_path), inspection.duration)
        yield from build_rows(self, source, audio_source_of(source), inspection, metadata)


def sidecar_path(audio: str) -> str:
    """Return the path of the JSON beside a chapter."""
    return os.path.splitext(audio)[0] + ".json"  # noqa: PTH122 - a string, as in the listing


def metadata_of(sidecar: Sidecar, path: PurePosixPath, duration: float | None) -> CorpusMetadata:
    """Return the metadata in the JSON of a chapter at `path` below the root, which lasts `duration` seconds."""
    values = MetadataValues(sidecar.values)
    record = values.get_raw("book_meta")
    book = MetadataValues(record if isinstance(record, dict) else {})
    folders = path.parts[:-1]
    return CorpusMetadata(
        subset=folders[0] if len(folders) >= 3 else "",
        licence=LibriLight.licence,
        speaker=values.get("speaker", label_of) or (folders[-2] if len(folders) >= 2 else None),
        # The corpus is English, but a book that declares another language, known or not, is not.
        language=read_language(book, "language") or "en",
        book=book.get("id", label_of) or (folders[-1] if folders else None),
        genre=book.get("meta_genre", text_of),
        snr=values.get("snr", number_of),
        spans=values.get("voice_activity", lambda value: spans_of(value, duration)),
        extra=values.rest,
        faults=(sidecar.fault, *values.faults, *book.faults, *_missing(sidecar)),
    )


def _missing(sidecar: Sidecar) -> tuple[str, ...]:
    if sidecar.fault:
        return ()
    absent = [key for key in ("speaker", "voice_activity") if key not in sidecar.values]
    has_book = isinstance(sidecar.values.get("book_meta"), dict) and bool(sidecar.values["book_meta"])
    return tuple(f"sidecar has no {key}" for key in absent) + (() if has_book else ("sidecar has no book_meta",))
