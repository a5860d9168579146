"""Measure the stages in the lake: speed, output per input, and bytes per second of audio."""

from dataclasses import dataclass

import duckdb

# Per stage that others read: its input (bytes of sources, seconds of audio), and the rows and seconds it made.
_PASSED = {
    "ingest": """
        SELECT (SELECT sum(size) FROM sources WHERE {where} AND source_id IN (SELECT source_id FROM recordings)),
               count(*), sum(duration)
        FROM current_recordings WHERE drop_reason IS NULL AND origin <> 'generated' AND {where}
    """,
    "segment": """
        SELECT (SELECT sum(duration) FROM current_recordings WHERE drop_reason IS NULL AND {where}
                AND recording_id IN (SELECT recording_id FROM current_segments)),
               count(*), sum(duration)
        FROM current_segments WHERE drop_reason IS NULL AND {where}
    """,
    "transcribe": """
        SELECT (SELECT sum(s.duration) FROM current_transcripts t JOIN current_segments s USING (segment_id)
                WHERE t.{where}),
               count(*), sum(duration)
        FROM input_transcripts WHERE {where}
    """,
}
_THIS, _ALL = "corpus = $corpus", "corpus IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Yield:
    """The output of a stage per unit of its input (a second of audio; for ingest a byte)."""

    rows: float
    audio_seconds: float


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds of audio per second of one worker, and whether it was measured with these options on this corpus."""

    audio_rate: float
    is_same_options: bool
    is_same_corpus: bool


def measured_yield(connection: duckdb.DuckDBPyConnection, stage: str, corpus: str) -> Yield | None:
    """Measure the yield of `stage` (`ingest`, `segment` or `transcribe`) on this corpus, else on all, else None."""
    for where in (_THIS, _ALL):
        parameters = {"corpus": corpus} if where is _THIS else {}
        found = connection.execute(_PASSED[stage].format(where=where), parameters).fetchone()
        if found is not None and found[0] and found[2]:
            return Yield(found[1] / found[0], found[2] / found[0])
    return None


def measured_speed(connection: duckdb.DuckDBPyConnection, stage: str, *, options: str, corpus: str) -> Speed | None:
    """Measure the speed of `stage` with these options (as in its reports), else with any; None before any run.

    Measurements on `corpus` are preferred.
    """
    found = connection.execute(
        """
        SELECT sum(audio_seconds) / sum(wall_seconds), options = $options AS is_options, corpus = $corpus AS is_corpus
        FROM shard_runs WHERE stage = $stage AND audio_seconds > 0 AND wall_seconds > 0
        GROUP BY is_options, is_corpus ORDER BY is_options DESC, is_corpus DESC LIMIT 1
        """,
        {"stage": stage, "options": options, "corpus": corpus},
    ).fetchone()
    return None if found is None else Speed(*found)


def measured_size(connection: duckdb.DuckDBPyConnection, stage: str, stored_bytes: int) -> float | None:
    """Return the bytes of `stage` per second of audio, given the `stored_bytes` of its table; None before any run."""
    found = connection.execute("SELECT sum(audio_seconds) FROM shard_runs WHERE stage = ?", [stage]).fetchone()
    return stored_bytes / found[0] if found is not None and found[0] else None
