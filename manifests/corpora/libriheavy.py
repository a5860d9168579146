"""Read LibriHeavy: lists of cuts that give the recordings of LibriLight their texts.

Kang et al. 2024, "Libriheavy: a 50,000 Hours ASR Corpus with Punctuation Casing and Context". The lists
(`libriheavy_cuts_small.jsonl.gz`, ...) may be anywhere below or beside the folder of LibriLight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import ClassVar

from manifests.corpora import librilight
from manifests.corpora.cutset import LhotseCuts, find_ranges, metadata_of
from manifests.corpus import MEGABYTE, Source
from manifests.reading.cuts import CutPiece
from manifests.reading.listing import FoundFile, walk
from manifests.reading.recording import CorpusMetadata
from manifests.reading.sidecar import read_json
from warehouse.errors import ManifestError

# Key of the text before each cut: a thousand bytes that repeat the cuts before it.
_CONTEXT = "pre_texts"


@dataclass(frozen=True, slots=True)
class LibriHeavy(LhotseCuts):
    """Reader of LibriHeavy; `root` is one list, or a folder of lists with LibriLight in it or above it.

    Text and times come from the list; book, genre and SNR from LibriLight's JSON where that is beside the audio.
    """

    kind: ClassVar[str] = "libriheavy"
    version: ClassVar[int] = 2

    name: str = "libriheavy"

    def find(self) -> Iterator[Source]:
        """Yield ranges of lines of every list; see `manifests.corpus.Corpus`.

        Raises ManifestError when the root is missing.
        """
        limit = self.options.shard_megabytes * MEGABYTE
        if self.root.is_file():
            yield from find_ranges(FoundFile(str(self.root.absolute()), self.root.name), limit)
            return
        if not self.root.is_dir():
            raise ManifestError(f"The root of corpus {self.name!r} is neither a list nor a folder: {self.root}.")
        for found in walk(self.root, frozenset({".jsonl", ".gz"})):
            if found.path.endswith((".jsonl", ".jsonl.gz")):
                yield from find_ranges(found, limit)

    def metadata(self, pieces: Sequence[CutPiece], path: str, duration: float | None) -> CorpusMetadata:
        """Return the metadata of the pieces, completed by the JSON that LibriLight has beside the audio."""
        without_context = [
            replace(piece, custom={key: value for key, value in piece.custom.items() if key != _CONTEXT})
            for piece in pieces
        ]
        listed = metadata_of(without_context, duration)
        chapter = PurePosixPath(f"{pieces[0].line.recording_name}.flac")
        published = librilight.metadata_of(read_json(librilight.sidecar_path(path)), chapter, duration)
        return replace(
            published,
            speaker=listed.speaker or published.speaker,
            language=listed.language or published.language,
            text=listed.text,
            spans=listed.spans,
            span_texts=listed.span_texts,
            extra={**published.extra, **listed.extra},
        )
