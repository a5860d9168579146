"""Measure the cost of the lake: bits per code, and planning over many rows.

`python benchmarks/lake.py [--rows 10000000]` prints one line per figure with its bound and fails when one is
missed. Planning is compared with one plain pass over the same column of ids in the same process, so that the ratio
means the same on any machine; the seconds are printed beside it.
"""

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from figures import report

from warehouse.catalogue.planning import StageTables, plan_stage
from warehouse.catalogue.views import connect
from warehouse.lake.arrow import schema_of
from warehouse.lake.data_files import write_table
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow, ConfigurationRow, RecordingRow, SegmentRow

_PART_ROWS = 500_000
_SEGMENTS_PER_RECORDING = 20
# Of fewer rows the start of DuckDB is most of the time.
_ENOUGH_ROWS = 5_000_000


def codes_table(count: int, seconds: float) -> pa.Table:
    """Return rows of codes of `count` clips of about `seconds`: uniform over 1,024 entries, the dearest there are."""
    rng = np.random.default_rng(0)
    frames = (75 * seconds * rng.uniform(0.6, 1.4, count)).astype(int)
    offsets = np.concatenate([[0], np.cumsum(frames)]).astype(np.int32)
    columns = {
        "segment_id": sorted(f"{rng.bytes(10).hex()}_{0:010d}_{320 * length:010d}" for length in frames),
        "corpus": ["corpus"] * count,
        "shard": ["corpus-0123456789"] * count,
        "fingerprint": [rng.bytes(16).hex() for _ in frames],
        "codec": ["mini@01234567"] * count,
        "num_frames": frames,
        "num_codebooks": [8] * count,
    }
    for codebook in range(8):
        values = rng.integers(0, 1024, offsets[-1]).astype(np.int16)
        columns[f"q{codebook}"] = pa.ListArray.from_arrays(offsets, values)
    schema = schema_of(CodesRow, 8)
    arrays = [
        pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def bits_per_code(folder: Path, table: pa.Table) -> float:
    """Return the bits of the data file of `table` per 10-bit code, ids and metadata included."""
    return write_table(folder, CodesRow, table).size * 8 / (8 * pc.sum(table["num_frames"]).as_py())


def bits_before(folder: Path, table: pa.Table) -> float:
    """Return those bits in the layout before: a dictionary for ids too, pages of 1 MiB."""
    pq.write_table(
        table,
        folder / "before.parquet",
        compression="zstd",
        compression_level=3,
        dictionary_pagesize_limit=1 << 22,
        row_group_size=table.num_rows,
        write_page_checksum=True,
    )
    return (folder / "before.parquet").stat().st_size * 8 / (8 * pc.sum(table["num_frames"]).as_py())


def fill(lake: Lake, rows: int) -> None:
    """A lake of `rows` segments of which 99 in 100 have codes."""
    with duckdb.connect() as connection:
        for row_class, count, columns in (
            (RecordingRow, rows // _SEGMENTS_PER_RECORDING, _recording_columns()),
            (SegmentRow, rows, _segment_columns()),
            (CodesRow, rows - rows // 100, _codes_columns()),
        ):
            schema = schema_of(row_class, 8 if row_class is CodesRow else 0)
            given = ", ".join(f'{expression} AS "{name}"' for name, expression in columns.items())
            parts = []
            for first in range(0, count, _PART_ROWS):
                last = min(first + _PART_ROWS, count)
                some = connection.execute(f"SELECT {given} FROM range({first}, {last}) t(i)").to_arrow_table()
                full = [
                    some[field.name].cast(field.type) if field.name in columns else pa.nulls(last - first, field.type)
                    for field in schema
                ]
                table = pa.Table.from_arrays(full, schema=schema)
                parts.append(write_table(lake.folder(row_class.table), row_class, table))
            lake.commit(row_class, parts, "fill")
    row = ConfigurationRow(
        configuration_id="1",
        corpus="c",
        stage="segment",
        configuration="one",
        options="{}",
        activated_at=datetime.now(UTC),
    )
    lake.append(ConfigurationRow, [row], "configuration")


def _recording_columns() -> dict[str, str]:
    identity = "substr(md5(i::VARCHAR), 1, 20)"
    return {
        "recording_id": identity,
        "corpus": "'c'",
        "shard": "'c-' || (i // 50)::VARCHAR",
        "fingerprint": "md5('r' || i)",
        "content_hash": identity,
        "path": "'p'",
        "offset": "0",
        "size": "0",
        "duration": "200.0",
        "num_samples": "3200000",
        "sample_rate": "16000",
        "ingested_at": "TIMESTAMPTZ '2026-01-01 00:00:00+00'",
    }


def _segment_columns() -> dict[str, str]:
    recording = f"(i // {_SEGMENTS_PER_RECORDING})"
    identity = f"substr(md5({recording}::VARCHAR), 1, 20)"
    return {
        "segment_id": f"{identity} || '_' || lpad((i % {_SEGMENTS_PER_RECORDING})::VARCHAR, 10, '0')",
        "recording_id": identity,
        "corpus": "'c'",
        "shard": f"'c-' || ({recording} // 50)::VARCHAR",
        "fingerprint": f"md5('one:' || md5('r' || {recording}))",
        "start": "0.0",
        "duration": "10.0",
        "start_sample": "0",
        "num_samples": "160000",
        "cut": "'pause'",
    }


def _codes_columns() -> dict[str, str]:
    segment = _segment_columns()
    return {
        "segment_id": segment["segment_id"],
        "corpus": "'c'",
        "shard": segment["shard"],
        "fingerprint": f"md5('k:' || {segment['fingerprint']})",
        "codec": "'mini'",
        "num_frames": "750",
    }


def plan_seconds(lake: Lake, rows: int) -> float:
    """Seconds of planning `quantize`; checks that it finds the hundredth that is missing."""
    tables = StageTables(reads="segments", writes="codes", key="segment_id")
    started = time.perf_counter()
    with connect(lake.snapshot()) as connection:
        plan = plan_stage(connection, "quantize", corpus="c", configuration="k", tables=tables)
    assert plan.rows == rows // 100, (plan.rows, rows // 100)
    return time.perf_counter() - started


def scan_seconds(lake: Lake) -> float:
    """Seconds of one pass over the ids and fingerprints that planning must compare."""
    started = time.perf_counter()
    with connect(lake.snapshot()) as connection:
        connection.execute("SELECT bit_xor(hash(segment_id, fingerprint)) FROM segments").fetchall()
        connection.execute("SELECT bit_xor(hash(segment_id, fingerprint)) FROM codes").fetchall()
    return time.perf_counter() - started


def main() -> int:
    """Run both benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        good = True
        for count, seconds in ((360, 10.0), (5000, 2.3)):
            table = codes_table(count, seconds)
            bits = bits_per_code(Path(folder) / "bits", table)
            good &= report(f"bits per 10-bit code, all in, {count} clips of {seconds} s", bits, 10.3, at_least=False)
            print(f"{'  in the layout before':50} {bits_before(Path(folder), table):8.2f}")
        half = Lake(Path(folder) / "half")
        fill(half, options.rows // 2)
        plan_of_half = plan_seconds(half, options.rows // 2)
        lake = Lake(Path(folder) / "lake")
        fill(lake, options.rows)
        scan = scan_seconds(lake)
        plan = plan_seconds(lake, options.rows)
        print(f"{options.rows:,} rows: a pass over the ids takes {scan:.1f} s, planning {plan:.1f} s")
        good &= report("planning / a pass over the ids", plan / scan, 12.0, at_least=False)
        good &= report("planning of all rows / of half of them", plan / plan_of_half, 2.5, at_least=False)
        if options.rows >= _ENOUGH_ROWS:
            good &= report("seconds of planning per 10 million rows", plan * 1e7 / options.rows, 10.0, at_least=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
