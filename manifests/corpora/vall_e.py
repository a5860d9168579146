"""Read folders and HDF5 files of codes of e-c-k-e-r/vall-e as corpora: codes, phonemes and texts without audio."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from manifests.audio.inspection import Inspection, hash_text
from manifests.codes.containers import UnreadableCodes, container_suffix
from manifests.codes.hdf5 import item_paths, open_hdf5
from manifests.codes.utterances import (
    CODECS,
    ENCODEC,
    HDF5_SUFFIXES,
    CodecNumbers,
    CodesUtterance,
    read_utterance,
    stem_of,
)
from manifests.corpus import CorpusOptions, Source
from manifests.reading.listing import file_source, require_folder, walk
from manifests.reading.recording import AudioSource, CorpusMetadata, build_rows
from manifests.reading.values import clean
from warehouse.errors import ManifestError
from warehouse.rows import RecordingRow, SourceRow

_SUFFIXES = frozenset({".enc", ".dac", ".nem", ".pt"})


@dataclass(frozen=True, slots=True)
class VallE:
    """Reader of folders of speakers with `.enc`, `.dac`, `.nem` or `.qnt.pt`; `root` is any folder above them.

    The speaker is the path of the folder. An utterance without text and phonemes (noise) and a container whose codes
    cannot be right are dropped rows.
    """

    kind: ClassVar[str] = "vall-e"
    version: ClassVar[int] = 1

    root: Path
    name: str = "vall-e"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield every container, without opening any; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        for found in walk(self.root, _SUFFIXES):
            if container_suffix(Path(found.path)):
                yield file_source(found)

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the row of one container."""
        relative = PurePosixPath(source.relative_path)
        where = AudioSource(path=source.path, relative_path=source.relative_path)
        numbers = CODECS[container_suffix(Path(source.path))]
        speaker = relative.parent.as_posix()
        yield from utterance_rows(self, source, where, numbers, speaker, stem_of(Path(source.path)))


@dataclass(frozen=True, slots=True)
class VallEHdf5:
    """Reader of HDF5 files of codes; `root` is a file, or a folder of files. The speaker is the group of an item."""

    kind: ClassVar[str] = "vall-e-hdf5"
    version: ClassVar[int] = 1

    root: Path
    name: str = "vall-e-hdf5"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield every file; see `manifests.corpus.Corpus`."""
        folder = self.root.parent if self.root.is_file() else self.root
        if not self.root.exists():
            raise ManifestError(f"The root of corpus {self.name!r} does not exist: {self.root}; give a file or folder.")
        for found in walk(folder, frozenset(HDF5_SUFFIXES)):
            if self.root.is_dir() or Path(found.path) == self.root.absolute():
                yield file_source(found)

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the items of one file; the same codes of another split are a duplicate, as the bytes of a file are."""
        try:
            with open_hdf5(Path(source.path)) as file:
                items = item_paths(file)
        except UnreadableCodes as error:
            fault = Inspection(fault="unreadable_codes", detail=clean(str(error)))
            where = AudioSource(path=source.path, relative_path=source.relative_path)
            yield from build_rows(self, source, where, fault, CorpusMetadata())
            return
        for item in items:
            split, _, rest = item.partition("/")
            path = PurePosixPath(rest)
            where = AudioSource(path=f"{source.path}/{item}", relative_path=f"{source.relative_path}/{item}")
            yield from utterance_rows(self, source, where, ENCODEC, path.parent.as_posix(), path.name, subset=split)


CodesCorpus = VallE | VallEHdf5


def utterance_rows(
    corpus: CodesCorpus,
    source: SourceRow,
    where: AudioSource,
    numbers: CodecNumbers,
    speaker: str,
    name: str,
    *,
    subset: str = "",
) -> Iterator[RecordingRow]:
    """Yield the row of an utterance: its length is that of its codes, its text and phonemes are those of the files."""
    metadata = CorpusMetadata(subset=subset, speaker=speaker or None)
    try:
        utterance = read_utterance(where.path)
    except UnreadableCodes as error:
        fault = Inspection(fault="unreadable_codes", detail=clean(str(error)))
        yield from build_rows(corpus, source, where, fault, metadata)
        return
    inspection = _inspection(utterance, numbers)
    yield from build_rows(corpus, source, where, inspection, _metadata(utterance, metadata, name))


def _inspection(utterance: CodesUtterance, numbers: CodecNumbers) -> Inspection:
    has_text = utterance.text is not None
    return Inspection(
        size=utterance.codes.nbytes,
        content_hash=hash_text(f"{utterance.codes.shape}:{utterance.codes.tobytes().hex()}"),
        sample_rate=numbers.sample_rate,
        num_channels=1,
        num_samples=utterance.codes.shape[1] * numbers.hop_length,
        fault=None if has_text else "no_text",
        detail=None if has_text else "neither text nor phonemes; noise has none",
    )


def _metadata(utterance: CodesUtterance, metadata: CorpusMetadata, name: str) -> CorpusMetadata:
    extra: Mapping[str, object] = {"name": name, "codec": utterance.codec, **utterance.extra}
    return CorpusMetadata(
        subset=metadata.subset,
        speaker=metadata.speaker,
        language=utterance.language,
        text=utterance.text,
        extra={key: value for key, value in extra.items() if value == value},
    )
