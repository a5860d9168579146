"""Define a corpus reader: it finds sources without opening audio, and reads one source into rows of recordings.

A source is an audio file, or a byte range of an archive or list that begins and ends between members. Sources are
grouped, in the order they are found, into shards: the unit of work of every later table.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal, Protocol, get_args

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as options_class

from manifests.reading.channels import ChannelMode
from warehouse.rows import RecordingRow, SourceRow

Origin = Literal["recorded", "synthetic", "generated"]
"""Who speaks: a person, a synthesizer, or a checkpoint of this project under evaluation."""

ORIGINS = get_args(Origin)
MEGABYTE = 1 << 20


@options_class(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class CorpusOptions:
    """What a user may say about a corpus.

    Raises pydantic's ValidationError for an unknown origin and for a size that is not positive.
    """

    licence: str | None = None
    """Licence of the items that bring none of their own: an SPDX identifier such as `CC-BY-4.0`."""
    language: str | None = None
    """Language of the items that bring none of their own: an ISO 639-1 code such as `en`."""
    origin: Origin = "recorded"
    """How the speech came about: `recorded`, `synthetic`, or `generated` by a checkpoint under evaluation."""
    shard_megabytes: float = Field(default=64, gt=0)
    """Encoded audio in a shard, the unit of work; also the size of the byte ranges of big archives."""
    channels: ChannelMode = "auto"
    """Channels that are read: `auto` (one recording for each channel that differs), `mix`, `split` or `first`."""
    speaker_from_folder: bool = False
    """Take the name of an audio file's folder as its speaker (reader `folder` only)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, or a range of `size` bytes at `offset` of an archive or list, as a listing shows it.

    `weight` is the size of the audio behind it in bytes, where that differs from `size` (a range of a list).
    """

    path: str
    relative_path: str
    etag: str
    size: int
    offset: int = 0
    is_range: bool = False
    weight: int | None = None


class Corpus(Protocol):
    """A reader: frozen options, `find` and `read`. `version` rises when its rows would come out differently."""

    kind: ClassVar[str]
    version: ClassVar[int]

    @property
    def root(self) -> Path:
        """The folder (or list) that holds the corpus."""

    @property
    def name(self) -> str:
        """Name of the corpus in every table."""

    @property
    def options(self) -> CorpusOptions:
        """What the user said about it."""

    def find(self) -> Iterator[Source]:
        """Every source, in an order that a second listing repeats; nothing is opened or held.

        Raises ManifestError when the root is missing.
        """

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """One row per recording of `source`, and at least one; what cannot be used has a `drop_reason`."""


def identify(*parts: str) -> str:
    """20 hex digits that identify `parts`: the same on every machine and for every place of the root."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:20]


def source_id(corpus: str, source: Source) -> str:
    """The id of a source: corpus, path below the root and, inside an archive, the byte range."""
    span = f"{source.offset}+{source.size}" if source.is_range else ""
    return identify(corpus, source.relative_path, span)


def recording_id(corpus: str, relative_path: str, member: str | None = None) -> str:
    """The id of a recording: corpus, path below the root and member."""
    return identify(corpus, relative_path, member or "")


def assign_shards(sources: Iterable[Source], corpus: str, *, megabytes: float) -> Iterator[SourceRow]:
    """Rows of `sources`, grouped in their order into shards of at most about `megabytes` (one source at least).

    A shard is named after the ids and etags of its sources. Give it only the sources that are new or changed: then
    a corpus that grows gets more shards and none of the old ones moves. Holds one shard at a time.
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
