"""Find and read audio to listen to: an utterance of the lake, a prompt, the worst utterances of an evaluation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from valle.audio import Audio, AudioLocation, UnreadableAudio, read_audio
from valle.data_root import DataRoot
from warehouse.catalogue.views import connect, run_query
from warehouse.errors import ConfigurationError

_UTTERANCE = """
SELECT text, speaker, path, "offset", size, start_sample, num_samples, channel FROM utterances WHERE segment_id = ?
"""
_SEGMENT = """
SELECT s.path, s."offset", s.size, s.start_sample, s.num_samples, s.channel, s.corpus, r.speaker, t.text,
       array_to_string(p.symbols, '') AS phonemes, t.language, round(s.duration, 2) AS seconds,
       round(q.dnsmos_ovrl, 2) AS dnsmos_ovrl, round(q.snr, 1) AS snr, d.drop_reason, d.drop_detail, w.verdict, w.note
FROM segments_of_recordings s
JOIN current_recordings r USING (recording_id)
LEFT JOIN current_transcripts t ON t.segment_id = s.segment_id
LEFT JOIN current_phonemes p ON p.segment_id = s.segment_id
LEFT JOIN current_quality q ON q.segment_id = s.segment_id
LEFT JOIN drops d ON d.id = s.segment_id
LEFT JOIN current_reviews w ON w.segment_id = s.segment_id
WHERE s.segment_id = ? LIMIT 1
"""
_PLACE = ("path", "offset", "size", "start_sample", "num_samples", "channel")
WORST = """
SELECT system, path, reference, hypothesis, word_errors * 100.0 / greatest(num_words, 1) AS wer FROM scores
WHERE path IS NOT NULL AND (? = '' OR system = ? OR evaluation = ?)
ORDER BY wer DESC, utterance, trial LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Audio with one line that describes it; `segment_id` is that of an utterance of the lake."""

    title: str
    audio: Audio
    segment_id: str | None = None


@dataclass(frozen=True, slots=True)
class DescribedSegment:
    """A segment with its audio and what the lake has about it, by name: text, phonemes, quality, review, ..."""

    audio: Audio
    facts: Mapping[str, str]


def describe_segment(data_root: DataRoot, segment_id: str) -> DescribedSegment:
    """Read the audio and the facts of a segment, a dropped one too; facts that are unknown are left out.

    Raises ConfigurationError when there is no such segment or its audio is unreadable.
    """
    with connect(data_root.lake.snapshot()) as connection:
        return describe_found_segment(connection, segment_id)


def describe_found_segment(connection: duckdb.DuckDBPyConnection, segment_id: str) -> DescribedSegment:
    """Describe a segment through an open catalogue. Errors as `describe_segment`."""
    row = _find(connection, _SEGMENT, "segment", segment_id)
    facts = {name: str(value) for name, value in row.items() if name not in _PLACE and value not in (None, "")}
    return DescribedSegment(_read(_location(row)), facts)


def read_utterance(data_root: DataRoot, segment_id: str) -> Recorded:
    """Read the audio of an utterance of the lake. Raises ConfigurationError when there is none or it is unreadable."""
    with connect(data_root.lake.snapshot()) as connection:
        return read_found_utterance(connection, segment_id)


def read_found_utterance(connection: duckdb.DuckDBPyConnection, segment_id: str) -> Recorded:
    """Read an utterance through an open catalogue. Errors as `read_utterance`."""
    row = _find(connection, _UTTERANCE, "utterance", segment_id)
    return Recorded(f"{segment_id} ({row['speaker']}): {row['text']}", _read(_location(row)), segment_id)


def _find(connection: duckdb.DuckDBPyConnection, sql: str, kind: str, segment_id: str) -> Mapping[str, Any]:
    rows: list[dict[str, Any]] = run_query(connection, sql, [segment_id]).to_pylist()
    if not rows:
        raise ConfigurationError(f"There is no {kind} {segment_id!r}; `valle sql` lists them in `utterances`.")
    return rows[0]


def _location(row: Mapping[str, Any]) -> AudioLocation:
    return AudioLocation(
        row["path"], row["offset"] or 0, row["size"] or 0, row["start_sample"], row["num_samples"], row["channel"]
    )


def read_worst(data_root: DataRoot, system: str, count: int) -> Iterator[Recorded]:
    """Read the utterances with the highest word error rates of a system, of an evaluation, or of all for "".

    Raises ConfigurationError when there are none.
    """
    with connect(data_root.lake.snapshot()) as connection:
        rows = run_query(connection, WORST, [system, system, system, count]).to_pylist()
    if not rows:
        raise ConfigurationError(f"No audio of {system or 'any evaluation'} was scored; run `valle evaluate` first.")
    for row in rows:
        title = f"{row['system']}, WER {row['wer']:.0f} %: {row['reference']!r} transcribed as {row['hypothesis']!r}"
        # Paths of a data root that was moved since are below the new one.
        yield Recorded(title, _read(AudioLocation(str(data_root.root / row["path"]))))


def read_file(path: Path) -> Recorded:
    """Read an audio file. Raises ConfigurationError when it cannot be decoded."""
    return Recorded(str(path), _read(AudioLocation(str(path))))


def _read(location: AudioLocation) -> Audio:
    try:
        return read_audio(location)
    except UnreadableAudio as error:
        raise ConfigurationError(f"The audio cannot be read ({error}).") from error
