"""A lake of any number of synthetic utterances, written by the warehouse's own writers: every table of the pipeline.

Rows are made by SQL and arrays, part by part, so a lake of ten million rows costs minutes and the memory of one part.
A recording has 20 segments, a speaker 10 recordings. One segment in 100 has no codes, as if a run had been stopped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from valle.codec.base import CodecSpec
from warehouse.lake.arrow import TableRow, schema_of
from warehouse.lake.data_files import write_table
from warehouse.lake.tables import Lake
from warehouse.rows import (
    CodesRow,
    ConfigurationRow,
    PhonemeRow,
    QualityRow,
    RecordingRow,
    SegmentRow,
    ShardRunRow,
    SourceRow,
    SpeakerRow,
    TranscriptRow,
)

CORPUS = "synthetic"
SEGMENTS_PER_RECORDING = 20
RECORDINGS_PER_SPEAKER = 10
SYMBOLS = tuple("abdefhijklmnoprstuvwz")
CODEC = CodecSpec(
    name="synthetic", revision="01234567", sample_rate=24_000, hop_length=320, num_codebooks=8, codebook_size=1024
)
STAGES = ("ingest", "segment", "transcribe", "phonemize", "quality", "speakers", "quantize")
_UNIT = "fill"  # of work: a table is filled in one commit
_CODE_FRAMES = (3, 8)
_NUM_SYMBOLS = (12, 30)
_EMBEDDING = 8

_RECORDING = f"(i // {SEGMENTS_PER_RECORDING})"
_RECORDING_ID = "substr(md5({0}::VARCHAR), 1, 20)"
_SEGMENT_ID = f"{_RECORDING_ID.format(_RECORDING)} || '_' || lpad((i % {SEGMENTS_PER_RECORDING})::VARCHAR, 10, '0')"
_SEGMENT_FINGERPRINT = f"md5('segment:' || md5('r' || {_RECORDING}))"
_TIME = "TIMESTAMPTZ '2026-01-01 00:00:00+00'"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the lake: the SQL of its columns from the number `i` of a row, and columns that are arrays."""

    row_class: type[TableRow]
    columns: dict[str, str]
    num_spread: int = 0


def fill(lake: Lake, rows: int, parts: int) -> None:
    """Write `rows` segments and what belongs to them, `parts` data files in each table; what is committed remains.

    `rows` is a multiple of `parts` and of the 20 segments of a recording.
    """
    if rows % (parts * SEGMENTS_PER_RECORDING):
        raise ValueError(f"{rows} rows are not {parts} equal parts of whole recordings.")
    per_part = rows // parts
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        for table in _tables(per_part):
            if lake.is_committed(table.row_class.table, _UNIT):
                continue
            is_of_recordings = table.row_class in (SourceRow, RecordingRow)
            count = per_part // SEGMENTS_PER_RECORDING if is_of_recordings else per_part
            files = [
                write_table(lake.folder(table.row_class.table), table.row_class, made)
                for made in _parts(connection, table, count, parts)
            ]
            lake.commit(table.row_class, files, _UNIT)
    if not lake.is_committed(ConfigurationRow.table, "configurations"):
        lake.append(ConfigurationRow, [_configuration(stage) for stage in STAGES], "configurations")
    if not lake.is_committed(ShardRunRow.table, "runs"):
        lake.append(ShardRunRow, [_shard_run(number) for number in range(parts)], "runs")


def _parts(connection: duckdb.DuckDBPyConnection, table: _Table, count: int, parts: int) -> Iterator[pa.Table]:
    given = ", ".join(f'{expression} AS "{name}"' for name, expression in table.columns.items())
    schema = schema_of(table.row_class, table.num_spread)
    for part in range(parts):
        first = part * count
        order = f"ORDER BY {table.row_class.key}"
        query = f"SELECT {given} FROM range({first}, {first + count}) t(i) {_condition(table)} {order}"
        some = connection.execute(query).to_arrow_table()
        rng = np.random.default_rng(part)
        arrays = _arrays(table.row_class, some, rng)
        columns = [
            arrays[field.name]
            if field.name in arrays
            else some[field.name].cast(field.type)
            if field.name in table.columns
            else pa.nulls(len(some), field.type)
            for field in schema
        ]
        yield pa.Table.from_arrays(columns, schema=schema)


def _condition(table: _Table) -> str:
    return "WHERE i % 100 <> 99" if table.row_class is CodesRow else ""


def _arrays(row_class: type[TableRow], some: pa.Table, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Return the columns of lists: codes, symbols and embeddings."""
    count = len(some)
    if row_class is CodesRow:
        starts = _starts(some["num_frames"].to_numpy())
        return {f"q{k}": _lists(starts, rng.integers(0, 1024, starts[-1], np.int16)) for k in range(8)}
    if row_class is PhonemeRow:
        starts = _starts(some["num_symbols"].to_numpy())
        numbers = pa.array(rng.integers(0, len(SYMBOLS), starts[-1], np.int8))
        symbols = pa.DictionaryArray.from_arrays(numbers, pa.array(SYMBOLS)).cast(pa.string())
        unknown = pa.ListArray.from_arrays(pa.array(np.zeros(count + 1, np.int32)), pa.array([], pa.string()))
        return {"symbols": pa.ListArray.from_arrays(starts, symbols), "unknown": unknown}
    if row_class is SpeakerRow:
        vectors = rng.standard_normal((count, _EMBEDDING)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return {"embedding": _lists(np.arange(count + 1, dtype=np.int32) * _EMBEDDING, vectors.reshape(-1))}
    return {}


def _starts(counts: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _lists(starts: NDArray[np.int32], values: NDArray[np.int16] | NDArray[np.float32]) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(starts), pa.array(values))


def _tables(per_part: int) -> tuple[_Table, ...]:
    """Return every table with the SQL of its columns; the rows of a part are a shard."""
    recordings_per_part = per_part // SEGMENTS_PER_RECORDING
    of_recording = {
        "corpus": f"'{CORPUS}'",
        "shard": f"'{CORPUS}-' || lpad((i // {recordings_per_part})::VARCHAR, 10, '0')",
    }
    of_segment = {
        "segment_id": _SEGMENT_ID,
        "corpus": f"'{CORPUS}'",
        "shard": f"'{CORPUS}-' || lpad((i // {per_part})::VARCHAR, 10, '0')",
    }
    return (
        _Table(SourceRow, of_recording | _source()),
        _Table(RecordingRow, of_recording | _recording()),
        _Table(SegmentRow, of_segment | _segment()),
        _Table(TranscriptRow, of_segment | _transcript()),
        _Table(PhonemeRow, of_segment | _phonemes()),
        _Table(QualityRow, of_segment | _quality()),
        _Table(SpeakerRow, of_segment | {"fingerprint": _made_by("speakers"), "model": "'synthetic'"}),
        _Table(CodesRow, of_segment | _codes(), num_spread=8),
    )


def _made_by(stage: str) -> str:
    return f"md5('{stage}:' || {_SEGMENT_FINGERPRINT})"


def _source() -> dict[str, str]:
    return {
        "source_id": "md5('s' || i)",
        "path": "'/corpus/' || i || '.flac'",
        "relative_path": "i || '.flac'",
        "offset": "0",
        "size": "100000",
        "etag": "'e' || i",
        "found_at": _TIME,
    }


def _recording() -> dict[str, str]:
    return {
        "recording_id": _RECORDING_ID.format("i"),
        "source_id": "md5('s' || i)",
        "subset": "'all'",
        "fingerprint": "md5('r' || i)",
        "path": "'/corpus/' || i || '.flac'",
        "offset": "0",
        "size": "100000",
        "content_hash": "md5('c' || i)",
        "sample_rate": "16000",
        "num_channels": "1",
        "num_samples": "3200000",
        "duration": "200.0",
        "origin": "'recorded'",
        "speaker": f"'{CORPUS}:' || (i // {RECORDINGS_PER_SPEAKER})",
        "language": "CASE WHEN i % 5 = 0 THEN 'de' ELSE 'en' END",
        "licence": "CASE WHEN i % 3 = 0 THEN 'CC0-1.0' ELSE 'CC-BY-4.0' END",
        "book": "'b' || i",
        "extra": "'{}'",
        "ingested_at": _TIME,
    }


def _segment() -> dict[str, str]:
    return {
        "recording_id": _RECORDING_ID.format(_RECORDING),
        "fingerprint": _SEGMENT_FINGERPRINT,
        "start": f"(i % {SEGMENTS_PER_RECORDING}) * 10.0",
        "duration": "2.0 + (i % 7)",
        "start_sample": f"(i % {SEGMENTS_PER_RECORDING}) * 160000",
        "num_samples": "32000 + 16000 * (i % 7)",
        "cut": "'pause'",
    }


def _transcript() -> dict[str, str]:
    return {
        "fingerprint": _made_by("transcribe"),
        "model": "'synthetic'",
        "text": "'number ' || i || ' of a lake'",
        "asr_text": "'number ' || i || ' of a lake'",
        "language": f"CASE WHEN {_RECORDING} % 5 = 0 THEN 'de' ELSE 'en' END",
        "language_probability": "0.9",
        "average_logprob": "-0.1 - (i % 10) / 20.0",
        "no_speech_probability": "0.01",
        "compression_ratio": "1.2",
        "characters_per_second": "10 + i % 10",
    }


def _phonemes() -> dict[str, str]:
    low, high = _NUM_SYMBOLS
    return {
        "fingerprint": f"md5('phonemize:' || {_made_by('transcribe')})",
        "model": "'synthetic'",
        "language": f"CASE WHEN {_RECORDING} % 5 = 0 THEN 'de' ELSE 'en' END",
        "num_symbols": f"{low} + i % {high - low}",
        "num_unknown": "0",
    }


def _quality() -> dict[str, str]:
    return {
        "fingerprint": _made_by("quality"),
        "model": "'synthetic'",
        "dnsmos_ovrl": "2.5 + (i % 20) / 10.0",
        "dnsmos_sig": "3.0",
        "dnsmos_bak": "3.5",
        "dnsmos_p808": "3.4",
        "snr": "20 + i % 30",
        "bandwidth": "7000",
        "loudness": "-25",
        "clipping": "0",
    }


def _codes() -> dict[str, str]:
    low, high = _CODE_FRAMES
    return {
        "fingerprint": _made_by("quantize"),
        "codec": f"'{CODEC.label}'",
        "num_frames": f"{low} + i % {high - low}",
        "num_codebooks": "8",
    }


def _configuration(stage: str) -> ConfigurationRow:
    options = f'{{"codec": "{CODEC.name}", "sample_rate": {CODEC.sample_rate}}}' if stage == "quantize" else "{}"
    return ConfigurationRow(
        configuration_id=stage,
        corpus=CORPUS,
        stage=stage,
        configuration=stage,
        options=options,
        activated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def _shard_run(number: int) -> ShardRunRow:
    return ShardRunRow(
        shard_run_id=f"run-{number:010d}",
        run_id="run",
        stage="quantize",
        corpus=CORPUS,
        shard=f"{CORPUS}-{number:010d}",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        wall_seconds=10.0,
        audio_seconds=100.0,
        rows_in=100,
        rows_out=99,
        rows_dropped=1,
        host="machine",
        options="{}",
        code_revision="1",
    )
