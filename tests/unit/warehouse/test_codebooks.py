"""The codes table has any number of codebooks, of one codec or of several, and reads each of them alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from tests.unit.warehouse.rows_for_tests import codes, configuration, recording, segment
from warehouse.catalogue.views import connect, named_query, run_query
from warehouse.errors import LakeError
from warehouse.fingerprints import chain
from warehouse.lake.arrow import from_table, schema_of, to_table
from warehouse.lake.data_files import write_rows, write_table
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow, ConfigurationRow, RecordingRow, SegmentRow
from warehouse.upkeep.fsck import fsck
from warehouse.upkeep.maintenance import compact


def read(lake: Lake) -> list[CodesRow]:
    with connect(lake.snapshot()) as connection:
        return list(from_table(CodesRow, run_query(connection, "SELECT * FROM codes ORDER BY segment_id")))


@pytest.mark.parametrize("num_codebooks", [1, 4, 8, 9, 13, 32, 40])
def test_a_codec_of_any_number_of_codebooks_comes_back_as_it_was(num_codebooks: int, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    rows = [codes(f"s{n}", num_codebooks=num_codebooks) for n in range(3)]
    lake.append(CodesRow, rows, "quantize")
    assert read(lake) == rows
    compact(lake)
    assert read(lake) == rows and fsck(lake).is_sound


def test_codecs_of_different_numbers_and_shards_without_codes_share_the_table(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    dropped = replace(codes("a"), drop_reason="silent", num_frames=None, num_codebooks=None, codes=None, codec=None)
    rows = [dropped, *(codes(f"b{k:02}", num_codebooks=k) for k in (8, 4, 32, 9)), codes("c", num_codebooks=8)]
    for row in rows:
        lake.append(CodesRow, [row], f"quantize:{row.segment_id}")
    expected = sorted(rows, key=lambda row: row.segment_id)
    assert read(lake) == expected
    with connect(lake.snapshot()) as connection:
        assert connection.execute("SELECT count(q31), count(q8), count(q0) FROM codes").fetchone() == (1, 2, 5)
    assert fsck(lake).is_sound
    compact(lake)
    assert len(lake.snapshot().data_files["codes"]) == 1
    assert read(lake) == expected and fsck(lake).is_sound


def test_sql_sees_each_codebook_of_the_current_codes(tmp_path: Path) -> None:
    lake, names = Lake(tmp_path), range(3)
    lake.append(RecordingRow, [recording("r")], "ingest")
    segments = [segment(recording("r"), n, "one") for n in names]
    lake.append(SegmentRow, segments, "segment")
    lake.append(ConfigurationRow, [configuration("segment", "one"), configuration("quantize", "k")], "configuration")
    made = [codes(s.segment_id, chain("k", s.fingerprint), num_codebooks=9) for s in segments]
    lake.append(CodesRow, made, "quantize")
    with connect(lake.snapshot()) as connection:
        usage = run_query(connection, named_query("code_usage").sql).to_pylist()
        counts = run_query(connection, named_query("code_counts").sql).to_pylist()
        eighth = connection.execute("SELECT codes FROM codebooks() WHERE codebook = 8 ORDER BY segment_id").fetchall()
    assert [(row["codebook"], row["frames"]) for row in usage] == [(k, 60) for k in range(9)]
    assert sum(row["frames"] for row in counts) == 9 * 60
    assert [codebook for (codebook,) in eighth] == [row.codes[8] for row in made]


def test_codes_of_short_clips_take_little_more_than_their_ten_bits(tmp_path: Path) -> None:
    """Ids, fingerprints and lengths cost 30 bytes a row, which weighs most where clips are short: here 2.3 s."""
    rng = np.random.default_rng(0)
    frames = rng.integers(104, 243, 5000)
    offsets = np.concatenate([[0], np.cumsum(frames)]).astype(np.int32)
    columns = {
        "segment_id": sorted(f"{rng.bytes(10).hex()}_{0:010}_{320 * count:010}" for count in frames),
        "fingerprint": [rng.bytes(16).hex() for _ in frames],
        "num_frames": frames,
        **{name: ["one"] * len(frames) for name in ("corpus", "shard", "codec")},
        **{
            f"q{k}": pa.ListArray.from_arrays(offsets, rng.integers(0, 1024, offsets[-1]).astype(np.int16))
            for k in range(8)
        },
    }
    schema = schema_of(CodesRow, 8)
    arrays = [
        pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(len(frames), field.type)
        for field in schema
    ]
    written = write_table(tmp_path, CodesRow, pa.Table.from_arrays(arrays, schema=schema))
    assert written.size * 8 / (offsets[-1] * 8) <= 10.3


def test_codebook_0_alone_is_an_eighth_of_the_bytes_and_codes_are_stored_in_their_bits(tmp_path: Path) -> None:
    rows = [codes(f"s{number:04}", frames=500) for number in range(256)]
    written = write_rows(tmp_path, CodesRow, rows)
    assert written.size * 8 / (256 * 500 * 8) <= 10.3
    group = pq.read_metadata(tmp_path / written.name).row_group(0)
    chunks = [group.column(index) for index in range(group.num_columns)]
    sizes = {chunk.path_in_schema.split(".")[0]: chunk.total_compressed_size for chunk in chunks}
    assert sizes["q0"] / sum(size for name, size in sizes.items() if name.startswith("q")) == pytest.approx(1 / 8, 0.02)


@pytest.mark.parametrize("code", [32_768, -32_769])
def test_a_code_that_sixteen_bits_cannot_store_is_refused(code: int) -> None:
    with pytest.raises(pa.ArrowInvalid, match="too large"):
        to_table(CodesRow, [codes("a", codes=[[1, code]], num_codebooks=1, num_frames=2)])


def test_a_lake_of_an_older_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "codes"), pa.table({"segment_id": ["s"], "q0": [[1]]}))
    with pytest.raises(LakeError, match="format 1; convert it with `valle migrate"):
        Lake(tmp_path).snapshot()
