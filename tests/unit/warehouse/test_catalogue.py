"""The catalogue: every query runs, readers meet no lock, what is not committed is not seen."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.unit.warehouse.rows_for_tests import codes
from warehouse.catalogue.catalogue import Catalogue
from warehouse.catalogue.views import (
    answer_query,
    connect,
    named_queries,
    named_query,
    run_query,
    run_select,
)
from warehouse.errors import CatalogueError
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow
from warehouse.tables import TABLES


def test_every_table_is_a_view_even_when_nothing_was_committed(tmp_path: Path) -> None:
    with connect(Lake(tmp_path).snapshot()) as connection:
        for row_class in TABLES:
            assert connection.execute(f"SELECT count(*) FROM {row_class.table}").fetchone() == (0,)


@pytest.mark.parametrize("name", named_queries())
def test_every_named_query_runs_on_an_empty_lake_and_states_its_question(name: str, tmp_path: Path) -> None:
    query = named_query(name)
    assert "?" in query.question
    with connect(Lake(tmp_path).snapshot()) as connection:
        assert run_query(connection, query.sql).num_columns > 0


def test_the_newest_catalogue_keeps_its_views_until_the_lake_moves_on(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    catalogue = Catalogue(lake, tmp_path / "catalogue.duckdb")
    first = catalogue.connection()
    assert catalogue.connection() is first
    lake.append(CodesRow, [codes("a")], "one")
    second = catalogue.connection()
    assert second is not first
    assert second.execute("SELECT count(*) FROM codes").fetchone() == (1,)
    catalogue.close()


def test_an_unknown_query_names_the_ones_that_exist() -> None:
    with pytest.raises(CatalogueError, match="hours_by_language"):
        named_query("nothing")


def test_a_query_defines_the_views_that_it_needs_and_no_table_for_none(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append(CodesRow, [codes("a")], "one")
    snapshot = lake.snapshot()
    for sql in ("FROM codes", "FROM current_codes", "FROM utterances", "FROM codebooks()", "FROM evaluated_segments"):
        with connect(snapshot) as connection:
            assert answer_query(lake, sql).equals(run_query(connection, sql)), sql
    with connect(snapshot) as connection:
        views = run_query(connection, "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1")
    assert answer_query(lake, "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1").equals(views)
    assert answer_query(lake, "CREATE TABLE t AS FROM codes; SELECT count(*) FROM t")[0].to_pylist() == [1]
    for sql in ("FROM snapshot_", "SELECT", "SELECT 1; SELECT"):
        with pytest.raises(CatalogueError, match="The query failed"):
            answer_query(lake, sql)
    # Without a name nothing is read: the data files may as well be missing.
    for file in snapshot.data_files["codes"]:
        Path(str(file)).unlink()
    assert answer_query(lake, "SELECT 1 AS one").to_pylist() == [{"one": 1}]
    with pytest.raises(CatalogueError, match="valle lake fsck"):
        answer_query(lake, "FROM codes")


_WORK = """
import multiprocessing, os
from pathlib import Path
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake

def ask():
    with connect(Lake(Path("lake")).snapshot()) as connection:
        assert connection.execute("SELECT count(*) FROM utterances").fetchone() == (0,)

if __name__ == "__main__":
    ask()
    worker = multiprocessing.get_context("fork").Process(target=ask)
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert len(os.listdir("temporary")) == 1
    ask()
"""


def test_no_process_leaves_its_views_behind(tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    subprocess.run([sys.executable, "-c", _WORK], cwd=tmp_path, env=environment, check=True)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_wrong_query_is_one_sentence(tmp_path: Path) -> None:
    with connect(Lake(tmp_path).snapshot()) as connection, pytest.raises(CatalogueError, match="nowhere") as caught:
        run_query(connection, "SELECT * FROM nowhere")
    assert "\n" not in str(caught.value)


def test_an_open_reader_keeps_its_answer_while_the_catalogue_is_rebuilt(tmp_path: Path) -> None:
    lake, path = Lake(tmp_path / "lake"), tmp_path / "catalogue.duckdb"
    lake.append(CodesRow, [codes("a")], "quantize:1")
    Catalogue(lake, path).refresh()
    reader = duckdb.connect(path, read_only=True)
    lake.append(CodesRow, [codes("b")], "quantize:2")
    Catalogue(lake, path).refresh()
    assert reader.execute("SELECT count(*) FROM codes").fetchone() == (1,)
    reader.close()
    with duckdb.connect(path, read_only=True) as fresh:
        assert fresh.execute("SELECT count(*) FROM codes").fetchone() == (2,)


def test_a_catalogue_that_shows_the_newest_snapshot_is_not_made_again(tmp_path: Path) -> None:
    lake, path = Lake(tmp_path / "lake"), tmp_path / "catalogue.duckdb"
    lake.append(CodesRow, [codes("a")], "one")
    made = Catalogue(lake, path).refresh().stat().st_ino
    assert Catalogue(lake, path).refresh().stat().st_ino == made
    lake.append(CodesRow, [codes("b")], "two")
    again = Catalogue(lake, path).refresh().stat().st_ino
    assert again != made
    with duckdb.connect(path, read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM codes").fetchone() == (2,)


def test_a_damaged_catalogue_is_made_again(tmp_path: Path) -> None:
    lake, path = Lake(tmp_path / "lake"), tmp_path / "catalogue.duckdb"
    path.write_bytes(b"not a database")
    with duckdb.connect(Catalogue(lake, path).refresh(), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM codes").fetchone() == (0,)


def test_the_catalogue_file_opens_without_this_project(tmp_path: Path) -> None:
    lake, path = Lake(tmp_path / "lake"), tmp_path / "catalogue.duckdb"
    lake.append(CodesRow, [codes("a")], "quantize:1")
    Catalogue(lake, path).refresh()
    with duckdb.connect(path, read_only=True) as connection:
        assert connection.execute("SELECT len(q0) FROM codes").fetchone() == (20,)
        assert connection.execute("SELECT version FROM snapshot WHERE table_name = 'codes'").fetchone() == (1,)


def test_a_question_from_elsewhere_is_answered_from_the_lake_and_from_nothing_else(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "it's a lake")
    lake.append(CodesRow, [codes("a")], "one")
    outside = tmp_path / "secret.csv"
    outside.write_text("word\nhidden\n")
    with connect(lake.snapshot()) as connection:
        assert run_select(connection, "SELECT segment_id FROM codes;", lake=lake)["segment_id"].to_pylist() == ["a"]
    with connect(lake.snapshot()) as connection, pytest.raises(CatalogueError, match="secret"):
        run_select(connection, f"SELECT * FROM read_csv('{outside}')", lake=lake)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM enable_logging(storage = 'file', storage_config = {'path': '/nowhere/log'})",
        'SELECT (SELECT count(*) FROM main."Enable_Logging"()) + 1',
        "WITH a AS MATERIALIZED (FROM enable_profiling()) SELECT 1 FROM a",
        "SELECT * FROM (SUMMARIZE SELECT * FROM query('SELECT 1'))",
        "SELECT 1 LIMIT (SELECT 1 FROM json_execute_serialized_sql('{}'))",
        "SELECT * FROM pandas_scan(1, 2, 3)",
    ],
)
def test_functions_that_do_more_than_read_are_refused(tmp_path: Path, sql: str) -> None:
    lake = Lake(tmp_path)
    lake.append(CodesRow, [codes("a")], "one")
    with connect(lake.snapshot()) as connection, pytest.raises(CatalogueError, match="table function"):
        run_select(connection, sql, lake=lake)


@pytest.mark.parametrize(
    "sql", ["SHOW TABLES", "DESCRIBE codes", "SELECT * FROM range(3), unnest([1])", "FROM codebooks()"]
)
def test_functions_that_read_are_run(tmp_path: Path, sql: str) -> None:
    lake = Lake(tmp_path)
    lake.append(CodesRow, [codes("a")], "one")
    with connect(lake.snapshot()) as connection:
        assert run_select(connection, sql, lake=lake).num_columns > 0


def test_a_query_that_is_nested_too_deep_is_one_sentence(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append(CodesRow, [codes("a")], "one")
    with connect(lake.snapshot()) as connection, pytest.raises(CatalogueError):
        run_select(connection, "SELECT " + "abs(" * 5_000 + "1" + ")" * 5_000, lake=lake)


@pytest.mark.parametrize(
    "sql",
    ["DROP VIEW codes", "COPY (SELECT 1) TO 'x.csv'", "SELECT 1; SELECT 2", "SET threads = 1", "ATTACH 'x.db'", ""],
)
def test_what_is_no_single_select_is_refused(sql: str, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with connect(lake.snapshot()) as connection, pytest.raises(CatalogueError, match="one SELECT"):
        run_select(connection, sql, lake=lake)


_READER = """
import os, sys, time, duckdb
path, stop = sys.argv[1:]
seen = []
while len(seen) < 3 or not os.path.exists(stop):
    with duckdb.connect(path, read_only=True) as catalogue:
        seen.append(catalogue.sql("SELECT count(*) FROM codes").fetchone()[0])
    time.sleep(0.01)
assert seen == sorted(seen), seen
print(len(seen), seen[0], seen[-1])
"""


def test_duckdb_alone_reads_the_catalogue_from_another_directory_while_a_run_writes(tmp_path: Path) -> None:
    lake, path, stop = Lake(tmp_path / "lake"), tmp_path / "catalogue.duckdb", tmp_path / "stop"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lake.append(CodesRow, [codes("first")], "first")
    Catalogue(lake, path).refresh()
    command = [sys.executable, "-I", "-c", _READER, str(path), str(stop)]
    with subprocess.Popen(command, cwd=elsewhere, stdout=subprocess.PIPE, text=True) as reader:
        for number in range(6):
            lake.append(CodesRow, [codes(f"row {number}")], f"unit {number}")
            Catalogue(lake, path).refresh()
        stop.touch()
        answer, _ = reader.communicate(timeout=300)
    assert reader.returncode == 0
    reads, first, last = map(int, answer.split())
    assert reads >= 3
    assert 1 <= first <= last <= 7
