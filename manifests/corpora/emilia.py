"""Emilia and Emilia-YODAS as published: WebDataset tars of `<id>.mp3` and `<id>.json`, read in place.

He et al. 2024, "Emilia: An Extensive, Multilingual, and Diverse Speech Dataset for Large-Scale Speech Generation".
Tars lie in `Emilia/<LANG>/<LANG>-B000000.tar` and `Emilia-YODAS/<LANG>/...`; any other layout of tars works too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from manifests.corpus import MEGABYTE, CorpusOptions, Source
from manifests.reading.archive import ArchiveFault, ByteRange, Member, read_members, split_archive
from manifests.reading.audio_files import is_audio_name
from manifests.reading.inspection import Inspection, inspect_bytes
from manifests.reading.listing import FoundFile, file_source, require_folder, walk
from manifests.reading.recording import AudioSource, CorpusMetadata, build_row
from manifests.reading.sidecar import Sidecar, clean, label_of, language_of, number_of, parse_json, text_of
from warehouse.rows import RecordingRow, SourceRow

_COLUMNS = ("text", "speaker", "language", "dnsmos")
_UTTERANCE = re.compile(r"^(?P<session>.+)_W\d+$")


@dataclass(frozen=True, slots=True)
class Emilia:
    """Reader of Emilia's tars; `root` is any folder above them.

    A tar is listed as byte ranges of about `options.shard_megabytes`. What lies below a folder `Emilia-YODAS` is
    CC BY 4.0, everything else CC BY-NC 4.0, unless the options or the item itself name a licence.
    An utterance without JSON is a row without text; JSON without audio, and the place where a tar breaks off, are
    dropped rows.
    """

    kind: ClassVar[str] = "emilia"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "CC-BY-NC-4.0"

    root: Path
    name: str = "emilia"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """The byte ranges of every tar below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        wanted = int(self.options.shard_megabytes * MEGABYTE)
        for found in walk(self.root, frozenset({".tar"})):
            yield from _ranges(found, wanted)

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """The utterances of one byte range, in the order of the tar."""
        seen: set[str] = set()
        has_rows = False
        try:
            for group in _groups(read_members(source.path, ByteRange(source.offset, source.size))):
                has_rows = True
                if isinstance(group, ArchiveFault):
                    yield self._broken(source, group, reason="truncated_archive")
                else:
                    yield self._utterance(source, group, seen)
            if not has_rows:
                yield self._broken(source, ArchiveFault(source.offset, "no member"), reason="no_recordings")
        except OSError as error:
            yield self._broken(source, ArchiveFault(source.offset, f"{error.strerror}"), reason="unreadable")

    def _broken(self, source: SourceRow, fault: ArchiveFault, *, reason: str = "truncated_archive") -> RecordingRow:
        place = AudioSource(
            path=source.path, relative_path=source.relative_path, offset=fault.offset, key=f"@{fault.offset}"
        )
        inspection = Inspection(fault=reason, detail=fault.detail)
        return build_row(
            self, source, place, inspection, CorpusMetadata(part=self._part(source), licence=self._licence(source))
        )

    def _utterance(self, source: SourceRow, group: list[Member], seen: set[str]) -> RecordingRow:
        audio = _audio_of(group)
        sidecar = next((member for member in group if member.suffix == ".json"), None)
        named = audio or group[0]
        name = clean(named.name)
        again = named.stem in seen
        seen.add(named.stem)
        place = AudioSource(
            path=source.path,
            relative_path=source.relative_path,
            member=name,
            offset=named.offset,
            key=f"{name}@{named.offset}" if again else None,
        )
        return build_row(self, source, place, _inspect(group, audio, again), self._said(source, named, sidecar))

    def _said(self, source: SourceRow, named: Member, sidecar: Member | None) -> CorpusMetadata:
        parsed = Sidecar(fault="no sidecar") if sidecar is None else parse_json(sidecar.content or b"")
        identity = PurePosixPath(clean(named.stem)).name
        return said_of(parsed, identity, part=self._part(source), licence=self._licence(source))

    def _is_yodas(self, source: SourceRow) -> bool:
        return self.kind == EmiliaYodas.kind or "emilia-yodas" in source.path.lower().split("/")

    def _licence(self, source: SourceRow) -> str:
        return EmiliaYodas.licence if self._is_yodas(source) else self.licence

    def _part(self, source: SourceRow) -> str:
        language = PurePosixPath(source.relative_path).name.split("-")[0].split("_")[0].removesuffix(".tar")
        return f"YODAS-{language}" if self._is_yodas(source) else language


@dataclass(frozen=True, slots=True)
class EmiliaYodas(Emilia):
    """Reader of Emilia-YODAS' tars: all of them CC BY 4.0, wherever they lie."""

    kind: ClassVar[str] = "emilia-yodas"
    licence: ClassVar[str] = "CC-BY-4.0"

    name: str = "emilia-yodas"


def said_of(parsed: Sidecar, identity: str, *, part: str, licence: str) -> CorpusMetadata:
    """What the JSON of the utterance `identity` says, in either layout."""
    values = parsed.values
    match = _UTTERANCE.match(identity)
    session = match["session"] if match else None
    return CorpusMetadata(
        part=part,
        licence=licence,
        speaker=_speaker(label_of(values.get("speaker")), session),
        language=language_of(values.get("language")),
        text=text_of(values.get("text")),
        book=session,
        dnsmos=number_of(values.get("dnsmos")),
        extra={key: value for key, value in values.items() if key not in _COLUMNS},
        faults=(parsed.fault,),
    )


def _ranges(found: FoundFile, wanted: int) -> Iterator[Source]:
    whole = file_source(found)
    try:
        for part in split_archive(found.path, wanted):
            yield Source(
                path=whole.path,
                relative_path=whole.relative_path,
                etag=whole.etag,
                offset=part.offset,
                size=part.size,
                is_range=True,
            )
    except OSError:
        yield whole
        return
    if whole.size == 0:
        yield whole


def _groups(members: Iterator[Member | ArchiveFault]) -> Iterator[list[Member] | ArchiveFault]:
    """Runs of members that share a stem, and the fault where there is one.

    A run without audio just before the fault is not returned: the audio is what the fault has cost.
    """
    group: list[Member] = []
    for member in members:
        if isinstance(member, ArchiveFault):
            if _audio_of(group):
                yield group
            yield member
            return
        if group and member.stem != group[0].stem:
            yield group
            group = []
        group.append(member)
    if group:
        yield group


def _audio_of(group: list[Member]) -> Member | None:
    return next((member for member in group if is_audio_name(member.name)), None)


def _inspect(group: list[Member], audio: Member | None, again: bool) -> Inspection:
    cut_off = next((member for member in group if member.content is None), None)
    if cut_off is not None:
        return Inspection(fault="truncated_archive", detail=f"the archive ends inside {clean(cut_off.name)}")
    if audio is None or audio.content is None:
        return Inspection(fault="missing_audio", detail=f"only {', '.join(clean(member.name) for member in group)}")
    inspection = inspect_bytes(audio.content)
    if again:
        return Inspection(
            size=inspection.size,
            content_hash=inspection.content_hash,
            fault="duplicate_member",
            detail="the same name came earlier in this archive",
        )
    return inspection


def _speaker(label: str | None, session: str | None) -> str | None:
    """A label that is unique in the corpus: YODAS numbers the speakers of each video anew."""
    if label is None or session is None or session in label or label in session:
        return label or session
    return f"{session}/{label}"
