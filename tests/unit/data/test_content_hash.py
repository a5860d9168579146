"""The id of a training set: one hash, however many rows are sorted at once."""

import duckdb
import pytest

from valle.data.selection.chosen import content_hash

IDS = ("-", "0a", "1", "7f", "9", "abc", "f", "ff", "speech")


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        opened.execute("CREATE TABLE chosen (segment_id VARCHAR, text VARCHAR)")
        opened.executemany("INSERT INTO chosen VALUES (?, ?)", [(name, f"text {name}") for name in reversed(IDS)])
        opened.execute("CREATE VIEW whole AS SELECT *, length(text) AS letters FROM chosen")
        yield opened


def test_ranges_of_ids_give_the_hash_of_all_rows(connection):
    assert content_hash(connection, rows_at_once=1) == content_hash(connection)


@pytest.mark.parametrize("name", IDS)
def test_every_row_counts_in_either_way(connection, name):
    before = content_hash(connection)
    connection.execute("UPDATE chosen SET text = 'other' WHERE segment_id = ?", [name])
    assert before != content_hash(connection) == content_hash(connection, rows_at_once=1)
