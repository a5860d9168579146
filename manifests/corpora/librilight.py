"""LibriLight as published: `<part>/<speaker>/<book>/<chapter>.flac` with a JSON file of the same stem, no text.

Kahn et al. 2020, "Libri-Light: A Benchmark for ASR with Limited or No Supervision".
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from manifests.corpus import CorpusOptions, Source
from manifests.reading.inspection import inspect_file
from manifests.reading.listing import file_source, require_folder, walk
from manifests.reading.recording import CorpusMetadata, audio_source_of, build_row
from manifests.reading.sidecar import Sidecar, label_of, language_of, number_of, read_json, spans_of, text_of
from warehouse.rows import RecordingRow, SourceRow

_COLUMNS = ("speaker", "snr")


@dataclass(frozen=True, slots=True)
class LibriLight:
    """Reader of LibriLight; `root` holds the parts (`small`, `medium`, ...) or is one of them.

    The speaker, book id, folded genre, SNR and voice activity of the JSON become columns; every other key, and the
    whole book record, is kept in `extra`. A file without readable JSON is a row with its folder as the speaker.
    """

    kind: ClassVar[str] = "librilight"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "LicenseRef-PublicDomain"  # LibriVox; SPDX has no identifier for the public domain

    root: Path
    name: str = "librilight"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Every FLAC below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        for found in walk(self.root, frozenset({".flac"})):
            yield file_source(found, _sidecar_path(found.path))

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """The one recording of `source`."""
        inspection = inspect_file(source.path)
        sidecar = read_json(_sidecar_path(source.path))
        said = _said(sidecar, PurePosixPath(source.relative_path), inspection.duration)
        yield build_row(self, source, audio_source_of(source), inspection, said)


def _sidecar_path(audio: str) -> str:
    return os.path.splitext(audio)[0] + ".json"  # noqa: PTH122 - a string, as in the listing


def _said(sidecar: Sidecar, path: PurePosixPath, duration: float | None) -> CorpusMetadata:
    values = sidecar.values
    record = values.get("book_meta")
    book: Mapping[str, Any] = record if isinstance(record, dict) else {}
    spans = spans_of(values.get("voice_activity"), duration)
    taken = (*_COLUMNS, "voice_activity") if spans is not None else _COLUMNS
    folders = path.parts[:-1]
    return CorpusMetadata(
        part=folders[0] if len(folders) >= 3 else "",
        licence=LibriLight.licence,
        speaker=label_of(values.get("speaker")) or (folders[-2] if len(folders) >= 2 else None),
        language=language_of(book.get("language")) or "en",
        book=label_of(book.get("id")) or (folders[-1] if folders else None),
        genre=text_of(book.get("meta_genre")),
        snr=number_of(values.get("snr")),
        spans=spans,
        extra={key: value for key, value in values.items() if key not in taken},
        faults=(sidecar.fault, *_missing(sidecar, book)),
    )


def _missing(sidecar: Sidecar, book: Mapping[str, Any]) -> tuple[str, ...]:
    if sidecar.fault:
        return ()
    absent = [key for key in ("speaker", "voice_activity") if key not in sidecar.values]
    return tuple(f"sidecar has no {key}" for key in absent) + (() if book else ("sidecar has no book_meta",))
