"""Read Emilia and Emilia-YODAS as published: WebDataset tars of `<id>.mp3` and `<id>.json`, read in place.

He et al. 2024, "Emilia: An Extensive, Multilingual, and Diverse Speech Dataset for Large-Scale Speech Generation".
Tars are in `Emilia/<LANG>/<LANG>-B000000.tar` and `Emilia-YODAS/<LANG>/...`; any other layout of tars works too.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ClassVar

from manifests.audio.channels import ChannelMode
from manifests.audio.inspection import Inspection, inspect_range
from manifests.corpus import MEGABYTE, CorpusOptions, Source
from manifests.reading.archive import ArchiveFault, ByteRange, read_member, split_archive
from manifests.reading.groups import ArchiveIndex, UtteranceMembers, group_members
from manifests.reading.languages import read_language
from manifests.reading.listing import FoundFile, file_source, require_folder, walk
from manifests.reading.recording import AudioSource, CorpusMetadata, build_rows
from manifests.reading.regular import NotRegularFile, open_regular
from manifests.reading.sidecar import MAX_BYTES, Sidecar, parse_json
from manifests.reading.values import MetadataValues, clean, label_of, number_of, text_of
from warehouse.rows import RecordingRow, SourceRow

_COMPRESSED = (".bz2", ".gz", ".xz", ".zst")
_UTTERANCE = re.compile(r"^(?P<session>.+)_W\d+$")


@dataclass(frozen=True, slots=True)
class Emilia:
    """Reader of Emilia's tars; `root` is any folder above them.

    A tar is listed as byte ranges of about `options.shard_megabytes`. Tars below a folder `Emilia-YODAS` are
    CC BY 4.0, all others CC BY-NC 4.0, unless the options or the item itself name a licence.
    Audio and JSON belong together by their stem, by the part of their name before the first full stop, or by their
    last name where it is unique, wherever in the tar they are. An utterance without JSON is a row without text; JSON
    without audio, and the byte at which a tar breaks off, are dropped rows.
    """

    kind: ClassVar[str] = "emilia"
    version: ClassVar[int] = 2
    licence: ClassVar[str] = "CC-BY-NC-4.0"

    root: Path
    name: str = "emilia"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield the byte ranges of every tar below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        size = int(self.options.shard_megabytes * MEGABYTE)
        for found in walk(self.root, frozenset({".tar", ".tgz", *_COMPRESSED})):
            if _is_archive(found):
                yield from _ranges(found, size)

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the utterances of one byte range, in the order of the tar."""
        has_rows = False
        try:
            with open_regular(source.path) as file:
                span = ByteRange(source.offset, source.size)
                for found in group_members(file, span, lambda: _open_index(source.path, source.etag)):
                    has_rows = True
                    if isinstance(found, ArchiveFault):
                        yield from self._dropped(source, found, reason="truncated_archive")
                    else:
                        yield from self._utterance(source, found, file)
            if not has_rows:
                yield from self._dropped(source, ArchiveFault(source.offset, "no utterance"), reason="no_recordings")
        except NotRegularFile as error:
            yield from self._dropped(source, ArchiveFault(source.offset, f"{error.strerror}"), reason="not_a_file")
        except OSError as error:
            yield from self._dropped(source, ArchiveFault(source.offset, f"{error.strerror}"), reason="unreadable")

    def _dropped(self, source: SourceRow, fault: ArchiveFault, *, reason: str) -> Iterator[RecordingRow]:
        audio_source = AudioSource(
            path=source.path, relative_path=source.relative_path, offset=fault.offset, key=f"@{fault.offset}"
        )
        inspection = Inspection(fault=reason, detail=clean(fault.detail))
        metadata = CorpusMetadata(subset=self._subset(source), licence=self._licence(source))
        return build_rows(self, source, audio_source, inspection, metadata)

    def _utterance(self, source: SourceRow, utterance: UtteranceMembers, file: BinaryIO) -> Iterator[RecordingRow]:
        # Names may have bytes that are not UTF-8; the offset is what finds the audio again.
        name = clean(utterance.named.name)
        audio_source = AudioSource(
            path=source.path,
            relative_path=source.relative_path,
            member=name,
            offset=utterance.named.offset,
            key=f"{name}@{utterance.named.offset}" if utterance.is_repeated else None,
        )
        inspection = _inspect(utterance, file, self.options.channels)
        return build_rows(self, source, audio_source, inspection, self._metadata(source, utterance, file))

    def _metadata(self, source: SourceRow, utterance: UtteranceMembers, file: BinaryIO) -> CorpusMetadata:
        json = utterance.json
        if json is None:
            sidecar = Sidecar(fault="no sidecar")
        elif json.size > MAX_BYTES:
            sidecar = Sidecar(fault=f"sidecar is larger than {MAX_BYTES} bytes")
        else:
            sidecar = parse_json(read_member(file, json))
        identity = PurePosixPath(clean(utterance.identity)).name
        return metadata_of(sidecar, identity, subset=self._subset(source), licence=self._licence(source))

    def _is_yodas(self, source: SourceRow) -> bool:
        return self.kind == EmiliaYodas.kind or "emilia-yodas" in source.path.lower().split("/")

    def _licence(self, source: SourceRow) -> str:
        return EmiliaYodas.licence if self._is_yodas(source) else self.licence

    def _subset(self, source: SourceRow) -> str:
        language = PurePosixPath(source.relative_path).name.split("-")[0].split("_")[0].removesuffix(".tar")
        return f"YODAS-{language}" if self._is_yodas(source) else language


@dataclass(frozen=True, slots=True)
class EmiliaYodas(Emilia):
    """Reader of Emilia-YODAS' tars, all of them CC BY 4.0."""

    kind: ClassVar[str] = "emilia-yodas"
    licence: ClassVar[str] = "CC-BY-4.0"

    name: str = "emilia-yodas"


def metadata_of(sidecar: Sidecar, identity: str, *, subset: str, licence: str) -> CorpusMetadata:
    """Return the metadata in the JSON of the utterance `identity`, in either layout."""
    values = MetadataValues(sidecar.values)
    match = _UTTERANCE.match(identity)
    session = match["session"] if match else None
    return CorpusMetadata(
        subset=subset,
        licence=licence,
        speaker=_speaker(values.get("speaker", label_of), session),
        language=read_language(values, "language"),
        text=values.get("text", text_of),
        book=session,
        dnsmos=values.get("dnsmos", number_of),
        extra=values.rest,
        faults=(sidecar.fault, *values.faults),
    )


def _is_archive(found: FoundFile) -> bool:
    """Return whether a file is a tar; a compressed one is listed as well, to be a row that tells how to unpack it."""
    name, suffix = os.path.splitext(found.path)  # noqa: PTH122 - plain strings
    if suffix.lower() not in _COMPRESSED:
        return True
    return name.lower().endswith(".tar") and not os.path.lexists(name)


def _ranges(found: FoundFile, size: int) -> Iterator[Source]:
    whole = file_source(found)
    try:
        for span in split_archive(found.path, size):
            yield whole.byte_range(span.offset, span.offset + span.size)
    except OSError:
        yield whole
        return
    if whole.size == 0:
        yield whole


@lru_cache(maxsize=2)
def _open_index(path: str, etag: str) -> ArchiveIndex:
    """Return the index of an archive; `etag` distinguishes a changed archive from the cached one. Raises OSError."""
    with open_regular(path) as file:
        return ArchiveIndex(file)


def _inspect(utterance: UtteranceMembers, file: BinaryIO, channels: ChannelMode) -> Inspection:
    if utterance.audio is None:
        return Inspection(fault="missing_audio", detail=f"only {clean(utterance.named.name)}")
    inspection = inspect_range(file, utterance.audio.offset, utterance.audio.size, channels)
    if utterance.is_repeated:
        return Inspection(
            size=inspection.size,
            content_hash=inspection.content_hash,
            fault="duplicate_member",
            detail="audio of the same name came earlier in this archive",
        )
    return inspection


def _speaker(label: str | None, session: str | None) -> str | None:
    """Return a label that is unique in the corpus: YODAS numbers the speakers of each video from zero."""
    # Emilia's labels contain the session or are contained in it; only YODAS' need the video in front.
    if label is None or session is None or session in label or label in session:
        return label or session
    return f"{session}/{label}"
