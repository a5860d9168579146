"""Build the rows of a recording from the metadata of its corpus and the inspection of its audio."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from manifests.audio.inspection import Inspection
from manifests.corpus import ORIGINS, Corpus, recording_id
from manifests.reading.values import clean, text_of
from warehouse.fingerprints import short_hash
from warehouse.rows import RecordingRow, SourceRow, Span

# Columns that may change while the recording and its metadata stay what they are.
_NOT_CONTENT = ("fingerprint", "path", "offset", "shard", "source_id", "ingested_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusMetadata:
    """Declarations of a corpus about one recording; None where there is none.

    `speaker` has no corpus prefix yet. `span_texts` has the text of each of `spans`, where these have texts. `extra`
    has every key without a column, `faults` what could not be read of the sidecars. A `licence`, `license` or
    `origin` in `extra` is that of this recording.
    """

    subset: str = ""
    licence: str = "unknown"
    speaker: str | None = None
    language: str | None = None
    text: str | None = None
    book: str | None = None
    genre: str | None = None
    snr: float | None = None
    dnsmos: float | None = None
    spans: list[Span] | None = None
    span_texts: list[str | None] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSource:
    """A file, or a member of an archive. `key` distinguishes recordings that share both."""

    path: str
    relative_path: str
    member: str | None = None
    offset: int = 0
    key: str | None = None


def audio_source_of(source: SourceRow) -> AudioSource:
    """Return the audio source of a source that is a plain audio file."""
    return AudioSource(path=source.path, relative_path=source.relative_path)


def build_rows(
    corpus: Corpus, source: SourceRow, audio_source: AudioSource, inspection: Inspection, metadata: CorpusMetadata
) -> Iterator[RecordingRow]:
    """Yield a row for each channel that is a recording of its own; a single dropped row for audio with a fault.

    A text and spans belong to the whole file: where several channels are read, they stay in `extra`.
    """
    if len(inspection.channels) == 1:
        yield _build_row(corpus, source, audio_source, inspection, metadata, inspection.channels[0])
        return
    # Two callers have two halves of one text, and nothing tells which half is whose.
    extra = dict(metadata.extra)
    if metadata.text is not None:
        extra["text"] = metadata.text
    if metadata.spans:
        extra["spans"] = [[span.start, span.end] for span in metadata.spans]
    alone = replace(metadata, text=None, spans=None, span_texts=None, extra=extra)
    for channel in inspection.channels:
        key = f"{audio_source.key or audio_source.member or ''}#{channel}"
        yield _build_row(corpus, source, replace(audio_source, key=key), inspection, alone, channel)


def failed_row(corpus: Corpus, source: SourceRow, error: Exception) -> RecordingRow:
    """Return the dropped row of a source whose reader has raised `error`."""
    audio_source = AudioSource(
        path=source.path, relative_path=source.relative_path, offset=source.offset, key="@failed"
    )
    detail = clean(f"{type(error).__name__}: {error}")
    return _build_row(corpus, source, audio_source, Inspection(fault="failed", detail=detail), CorpusMetadata(), None)


def _build_row(
    corpus: Corpus,
    source: SourceRow,
    audio_source: AudioSource,
    inspection: Inspection,
    metadata: CorpusMetadata,
    channel: int | None,
) -> RecordingRow:
    extra = dict(metadata.extra)
    licence, origin = _pop_licence(extra), _pop_origin(extra)
    faults = [fault for fault in (*metadata.faults, *inspection.notes) if fault]
    if faults:
        extra["faults"] = faults
    row = RecordingRow(
        recording_id=recording_id(corpus.name, audio_source.relative_path, audio_source.key or audio_source.member),
        source_id=source.source_id,
        corpus=corpus.name,
        subset=metadata.subset,
        shard=source.shard,
        fingerprint="",
        path=audio_source.path,
        member=audio_source.member,
        offset=audio_source.offset,
        size=inspection.size,
        content_hash=inspection.content_hash,
        sample_rate=inspection.sample_rate,
        num_channels=inspection.num_channels,
        num_samples=inspection.num_samples,
        declared_samples=inspection.declared_samples,
        channel=channel,
        duration=inspection.duration,
        origin=origin or corpus.options.origin,
        speaker=None if metadata.speaker is None else f"{corpus.name}:{metadata.speaker}",
        language=metadata.language or corpus.options.language,
        licence=licence or corpus.options.licence or metadata.licence,
        text=metadata.text,
        book=metadata.book,
        genre=metadata.genre,
        snr=metadata.snr,
        dnsmos=metadata.dnsmos,
        spans=metadata.spans,
        span_texts=metadata.span_texts,
        extra=json.dumps(extra, ensure_ascii=False, allow_nan=False, sort_keys=True),
        ingested_at=datetime.now(UTC),
        drop_reason=inspection.fault,
        drop_detail=inspection.detail,
    )
    return replace(row, fingerprint=_fingerprint_of(corpus, row))


def _pop_licence(extra: dict[str, Any]) -> str | None:
    """Remove the licence from `extra` and return it; one that is no text stays."""
    for key in ("licence", "license"):
        if (licence := text_of(extra.get(key))) is not None:
            del extra[key]
            return licence
    return None


def _pop_origin(extra: dict[str, Any]) -> str | None:
    """Remove a known origin from `extra` and return it; any other stays."""
    return extra.pop("origin") if extra.get("origin") in ORIGINS else None


def _fingerprint_of(corpus: Corpus, row: RecordingRow) -> str:
    """Return the fingerprint of a recording: reader, its version, the audio and all metadata.

    It does not depend on times and places: a file that was copied or touched keeps what was computed from it.
    """
    # Times, paths and shards are left out: the same audio under another etag must not be processed again.
    content = {name: value for name, value in asdict(row).items() if name not in _NOT_CONTENT}
    return short_hash(json.dumps([corpus.kind, corpus.version, content], sort_keys=True, default=str))
