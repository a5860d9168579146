"""Define a corpus reader: it finds sources without opening audio, and reads one source into rows of recordings.

A source is an audio file, or a byte range of an archive or list that begins and ends between members. Sources are
grouped, in the order they are found, into shards: the unit of work of every later table.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal, Protocol, get_args

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as options_class

from manifests.audio.channels import ChannelMode
from warehouse.rows import RecordingRow, SourceRow

Origin = Literal["recorded", "synthetic", "generated"]
"""Origin of speech: a person, a synthesizer, or a checkpoint of this project under evaluation."""

CorpusKind = Literal[
    "cutset",
    "emilia",
    "emilia-raw",
    "emilia-yodas",
    "folder",
    "libriheavy",
    "librilight",
    "librilight-cut",
    "librispeech",
    "libritts",
    "noise",
    "synthetic",
    "vall-e",
    "vall-e-hdf5",
]
"""Every layout that has a reader."""

CODES_KINDS: tuple[CorpusKind, ...] = ("vall-e", "vall-e-hdf5")
"""Kinds whose recordings are codes: there is no audio to decode."""

ORIGINS = get_args(Origin)
MEGABYTE = 1 << 20


@options_class(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class CorpusOptions:
    """Options of a corpus, set by the user.

    Raises pydantic's ValidationError for an unknown origin and for a size that is not positive.
    """

    licence: str | None = None
    """Licence of the items that declare none: an SPDX identifier such as `CC-BY-4.0`."""
    language: str | None = None
    """Language of the items that declare none: an ISO 639-1 code such as `en`."""
    origin: Origin = "recorded"
    """Origin of the speech: `recorded`, `synthetic`, or `generated` by a checkpoint under evaluation."""
    shard_megabytes: float = Field(default=64, gt=0, le=1_000_000)
    """Encoded audio in a shard, the unit of work; also the size of the byte ranges of big archives."""
    channels: ChannelMode = "auto"
    """Channels that are read: `auto` (one recording for each channel that differs), `mix`, `split` or `first`."""
    speaker_from_folder: bool = False
    """Use the name of an audio file's folder as its speaker (reader `folder` only)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, or a range of `size` bytes at `offset` of an archive or list, as listed.

    `weight` is the size of the audio behind it in bytes, where that differs from `size` (a range of a list).
    """

    path: str
    relative_path: str
    etag: str
    size: int
    offset: int = 0
    is_range: bool = False
    weight: int | None = None

    def byte_range(self, start: int, end: int, weight: float | None = None) -> "Source":
        """Return the bytes from `start` to before `end` as a source of its own."""
        return replace(
            self, offset=start, size=end - start, is_range=True, weight=None if weight is None else int(weight)
        )


class Corpus(Protocol):
    """A corpus reader: frozen options, `find` and `read`; `version` rises when its rows change."""

    kind: ClassVar[str]
    version: ClassVar[int]

    @property
    def root(self) -> Path:
        """Folder (or list) of the corpus."""

    @property
    def name(self) -> str:
        """Name of the corpus in every table."""

    @property
    def options(self) -> CorpusOptions:
        """Options of the corpus."""

    def find(self) -> Iterator[Source]:
        """Yield every source, in an order that a second listing repeats, without opening any audio.

        Raises ManifestError when the root is missing.
        """

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield one row per recording of `source`, and at least one; unusable audio has a `drop_reason`."""


def identify(*parts: str) -> str:
    """Return 20 hex digits that identify `parts`: the same on every machine and for every root."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:20]


def source_id(corpus: str, source: Source) -> str:
    """Return the id of a source: corpus, path below the root and, inside an archive, the byte range."""
    span = f"{source.offset}+{source.size}" if source.is_range else ""
    return identify(corpus, source.relative_path, span)


def recording_id(corpus: str, relative_path: str, member: str | None = None) -> str:
    """Return the id of a recording: corpus, path below the root and member."""
    return identify(corpus, relative_path, member or "")


def assign_shards(sources: Iterable[Source], corpus: str, *, megabytes: float) -> Iterator[SourceRow]:
    """Yield rows of `sources`, grouped in their order into shards of about `megabytes` (one source at least).

    A shard is named after the ids and etags of its sources. Give it only the sources that are new or changed: then
    a corpus that grows gets more shards and none of the old ones changes. One shard is in memory at a time.
    """
    limit = megabytes * MEGABYTE
    group: list[Source] = []
    weight = 0
    for source in sources:
        size = source.size if source.weight is None else source.weight
        if group and weight + size > limit:
            yield from _shard_rows(group, corpus)
            group, weight = [], 0
        group.append(source)
        weight += size
    yield from _shard_rows(group, corpus)


def _shard_rows(group: list[Source], corpus: str) -> Iterator[SourceRow]:
    # Ids and etags, not positions: a second listing of the same files gives the same shards.
    ids = [source_id(corpus, source) for source in group]
    contents = [part for key, source in zip(ids, group, strict=True) for part in (key, source.etag)]
    shard = f"{corpus}-{identify(*contents)[:10]}"
    now = datetime.now(UTC)
    for key, source in zip(ids, group, strict=True):
        yield SourceRow(
            source_id=key,
            corpus=corpus,
            shard=shard,
            path=source.path,
            relative_path=source.relative_path,
            offset=source.offset,
            size=source.size,
            etag=source.etag,
            found_at=now,
        )
