"""The commands about the lake, as a user calls them."""

import csv
import io
import json
import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.unit.warehouse.rows_for_tests import codes, recording
from valle.cli import main
from valle.data_root import open_data_root
from warehouse.rows import CodesRow, RecordingRow


@pytest.fixture
def data(tmp_path: Path) -> str:
    lake = open_data_root(tmp_path).lake
    lake.append(
        RecordingRow, [recording("a"), recording("b", drop_reason="empty", drop_detail="0 samples")], "ingest:1"
    )
    lake.append(CodesRow, [codes("a"), codes("b", drop_reason="silent")], "quantize:1")
    return str(tmp_path)


def test_sql_prints_a_table_csv_and_json(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT recording_id, duration FROM recordings ORDER BY 1"
    assert main(["sql", query, "--data", data]) == 0
    assert "recording_id" in capsys.readouterr().out
    main(["sql", query, "--data", data, "--format", "csv"])
    assert list(csv.reader(io.StringIO(capsys.readouterr().out)))[1] == ["a", "10.0"]
    main(["sql", query, "--data", data, "--format", "json"])
    assert json.loads(capsys.readouterr().out)[1] == {"recording_id": "b", "duration": 10.0}


def test_sql_writes_parquet(data: str, tmp_path: Path) -> None:
    out = tmp_path / "answer.parquet"
    main(["sql", "SELECT q0 FROM codes", "--data", data, "--format", "parquet", "--out", str(out)])
    assert pq.read_table(out).num_rows == 2


def test_sql_writes_the_whole_answer_to_a_file_in_every_format(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "SELECT range AS number, [range, 1] AS pair FROM range(300)"
    for kind in ("table", "csv", "json", "parquet"):
        out = tmp_path / f"answer.{kind}"
        assert main(["sql", query, "--data", data, "--format", kind, "--out", str(out)]) == 0
        assert capsys.readouterr().out == f"300 rows: {out}\n"
    assert pq.read_table(tmp_path / "answer.parquet")["number"].to_pylist() == list(range(300))
    rows = list(csv.DictReader((tmp_path / "answer.csv").open(newline="")))
    assert json.loads(rows[299]["pair"]) == [299, 1]
    assert json.loads((tmp_path / "answer.json").read_text())[299] == {"number": 299, "pair": [299, 1]}
    assert len((tmp_path / "answer.table").read_text().splitlines()) == 302


def test_parquet_on_the_terminal_and_a_folder_that_is_not_there_are_one_sentence(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sql", "SELECT 1", "--data", data, "--format", "parquet"]) == 1
    assert main(["sql", "SELECT 1", "--data", data, "--format", "csv", "--out", str(tmp_path / "no" / "a.csv")]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[0] == "valle: --format parquet needs --out FILE."
    assert errors[1].startswith("valle: Cannot write ")


def test_sql_without_a_query_lists_the_named_ones(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["sql", "--data", data])
    assert "hours_by_language" in capsys.readouterr().out
    assert main(["sql", "--data", data, "--query", "drops_by_reason"]) == 0
    assert "empty" in capsys.readouterr().out


def test_a_wrong_query_ends_with_one_sentence(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "SELECT nothing FROM nowhere", "--data", data]) == 1
    assert capsys.readouterr().err.startswith("valle: The query failed")


def test_fsck_names_what_is_not_sound(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lake", "fsck", "--data", data]) == 0
    open_data_root(Path(data)).lake.append(CodesRow, [codes("a")], "again")
    assert main(["lake", "fsck", "--data", data]) == 1
    assert "duplicate_row: a" in capsys.readouterr().out


def test_retry_forgets_compact_merges_and_vacuum_spares_the_young(
    data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    open_data_root(Path(data)).lake.append(CodesRow, [codes("c")], "quantize:2")
    assert main(["data", "retry", "quantize", "--reason", "silent", "--data", data]) == 0
    assert "Removed 1 dropped" in capsys.readouterr().out
    assert main(["lake", "compact", "--data", data]) == 0
    assert "codes: 2 data files are now 1" in capsys.readouterr().out
    assert main(["lake", "vacuum", "--data", data]) == 0
    assert "Removed 0 files" in capsys.readouterr().out


def test_the_catalogue_can_be_deleted_and_rebuilt(data: str) -> None:
    assert main(["lake", "catalogue", "--data", data]) == 0
    open_data_root(Path(data)).catalogue.path.unlink()
    assert main(["lake", "catalogue", "--data", data]) == 0
    assert open_data_root(Path(data)).catalogue.path.exists()


def test_options_come_from_a_file_and_flags_win(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = tmp_path / "options.yaml"
    options.write_text(yaml.safe_dump({"data": data, "grace_hours": 0, "dry_run": True}))
    orphan = open_data_root(tmp_path).lake.folder("codes") / "orphan.parquet"
    orphan.write_bytes(b"x")
    # A younger file may be one that a run is about to commit.
    os.utime(orphan, (time.time() - 7200,) * 2)
    assert main(["lake", "vacuum", "--config", str(options)]) == 0
    assert "Would remove 1 files" in capsys.readouterr().out
    assert main(["lake", "vacuum", "--config", str(options), "--grace-hours", "5"]) == 0
    assert "Would remove 0 files" in capsys.readouterr().out


def test_stats_writes_a_report_with_plots(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--data", data]) == 0
    assert "empty" in capsys.readouterr().out
    report = tmp_path / "reports" / "corpus"
    assert "code" in (report / "corpus.md").read_text(encoding="utf-8").lower()
    assert list(report.rglob("*.png"))
