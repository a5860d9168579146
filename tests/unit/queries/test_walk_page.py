"""Rows of a lake replace the tables of docs/walk.md; the headings say which."""

from pathlib import Path

import pytest

from tests.unit.queries.conftest import lake_of, small_rows
from warehouse.errors import CatalogueError
from warehouse.tools.walk_page import main, with_rows

PAGE = (Path(__file__).parents[3] / "docs" / "walk.md").read_text(encoding="utf-8")
TABLE = "| column | value |\n| --- | --- |\n| `old` | 1 |\n"


@pytest.fixture(scope="module")
def connection():
    return lake_of(small_rows())


def test_every_table_of_the_page_stands_below_a_heading_that_names_it():
    headings = [line for line in PAGE.splitlines() if line.startswith("## ")]
    assert PAGE.count("| column | value |") == sum(line.count("`") // 2 for line in headings)


def test_tables_are_replaced_in_the_order_of_the_names(connection):
    segment = connection.execute("SELECT min(segment_id) FROM current_segments").fetchone()[0]
    page = f"# Walk\n\n## 1. Two: `recordings` and `segments`\n\nText.\n\n{TABLE}\n{TABLE}\nEnd.\n"
    filled = with_rows(page, connection, segment)
    assert "`old`" not in filled
    recording, of_segment = filled.split("| column | value |")[1:]
    assert "| `recording_id` |" in recording and "| `segment_id` |" not in recording
    assert f"| `segment_id` | {segment} |" in of_segment
    assert filled.startswith("# Walk\n\n## 1. Two") and filled.endswith("\nEnd.\n")


def test_a_segment_without_a_row_is_named(connection):
    with pytest.raises(CatalogueError, match="Table segments has no row of segment nothing"):
        with_rows(f"## 1. One: `segments`\n\n{TABLE}", connection, "nothing")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["page.md", "lake"], 1, "No segment of librilight is in a training set"),
        (["page.md", "lake", "nothing"], 1, "Table segments has no row of segment nothing"),
        (["absent.md", "lake"], 1, "There is no page"),
        (["two.md", "lake", "nothing"], 1, "The page has 2 tables; its headings name 1"),
        (["page.md"], 2, "usage:"),
    ],
)
def test_what_cannot_be_filled_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, code, sentence):
    monkeypatch.chdir(tmp_path)
    page = f"## 1. One: `segments`\n\n{TABLE}"
    Path("page.md").write_text(page)
    Path("two.md").write_text(f"{page}\n{TABLE}")
    assert main(arguments) == code
    printed = capsys.readouterr()
    assert printed.err.startswith(sentence) and len(printed.err.splitlines()) == 1
    assert Path("page.md").read_text() == page
