"""Building the row of a recording from what its corpus says and what its audio shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from manifests.corpus import ORIGINS, Corpus, recording_id
from manifests.reading.inspection import Inspection
from manifests.reading.sidecar import text_of
from warehouse.fingerprints import short_hash
from warehouse.rows import RecordingRow, SourceRow, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusMetadata:
    """What a corpus says about one recording; None where it says nothing.

    `speaker` has no corpus prefix yet. `extra` holds every key that has no column, `faults` what could not be read
    of the sidecars. A `licence`, `license` or `origin` in `extra` holds for this recording.
    """

    part: str = ""
    licence: str = "unknown"
    speaker: str | None = None
    language: str | None = None
    text: str | None = None
    book: str | None = None
    genre: str | None = None
    snr: float | None = None
    dnsmos: float | None = None
    spans: list[Span] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSource:
    """Where the audio lies: a file, or a member of an archive. `key` tells apart what shares both."""

    path: str
    relative_path: str
    member: str | None = None
    offset: int = 0
    key: str | None = None


def audio_source_of(source: SourceRow) -> AudioSource:
    """The place of a source that is a plain audio file."""
    return AudioSource(path=source.path, relative_path=source.relative_path)


def fingerprint_of(corpus: Corpus, source: SourceRow) -> str:
    """The fingerprint of the recordings of `source`: reader, its version, and the etag."""
    return short_hash(f"{corpus.kind}:{corpus.version}:{source.etag}")


def build_row(
    corpus: Corpus, source: SourceRow, place: AudioSource, inspection: Inspection, said: CorpusMetadata
) -> RecordingRow:
    """The row of one recording; dropped when `inspection` found a fault."""
    extra = dict(said.extra)
    licence = text_of(extra.pop("licence", None)) or text_of(extra.pop("license", None)) or corpus.options.licence
    origin = extra.pop("origin", None)
    faults = [fault for fault in said.faults if fault]
    if faults:
        extra["faults"] = faults
    return RecordingRow(
        recording_id=recording_id(corpus.name, place.relative_path, place.key or place.member),
        source_id=source.source_id,
        corpus=corpus.name,
        part=said.part,
        shard=source.shard,
        fingerprint=fingerprint_of(corpus, source),
        path=place.path,
        member=place.member,
        offset=place.offset,
        size=inspection.size,
        content_hash=inspection.content_hash,
        sample_rate=inspection.sample_rate,
        num_channels=inspection.num_channels,
        num_samples=inspection.num_samples,
        duration=inspection.duration,
        origin=origin if origin in ORIGINS else corpus.options.origin,
        speaker=None if said.speaker is None else f"{corpus.name}:{said.speaker}",
        language=said.language or corpus.options.language,
        licence=licence or said.licence,
        text=said.text,
        book=said.book,
        genre=said.genre,
        snr=said.snr,
        dnsmos=said.dnsmos,
        spans=said.spans,
        extra=json.dumps(extra, ensure_ascii=False, allow_nan=False, sort_keys=True),
        ingested_at=datetime.now(UTC),
        drop_reason=inspection.fault,
        drop_detail=inspection.detail,
    )
