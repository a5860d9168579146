"""docs/sql.md stays true: every query of the page runs and gives the columns that the page shows."""

from pathlib import Path

import pyarrow as pa
import pytest

from tests.unit.queries.conftest import lake_of, small_rows
from warehouse.tools.sql_page import Question, questions, with_answers

PAGE = (Path(__file__).parents[3] / "docs" / "sql.md").read_text(encoding="utf-8")
QUESTIONS = questions(PAGE)


@pytest.fixture(scope="module")
def connection():
    return lake_of(small_rows())


def test_the_page_answers_at_least_twenty_questions_and_numbers_them_in_order():
    numbers = [int(question.heading.split(".")[0]) for question in QUESTIONS]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 20
    assert PAGE.count("```sql") == len(numbers), "a query without an answer"
    assert all(question.heading.endswith("?") for question in QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.heading[:40])
def test_every_query_of_the_page_runs_and_gives_the_columns_of_the_page(question: Question, connection):
    if question.heading.startswith("23."):
        columns = "table_name VARCHAR, version BIGINT, data_files BIGINT"
        connection.execute(f"CREATE TABLE IF NOT EXISTS snapshot ({columns})")
    answer = connection.execute(question.sql).to_arrow_table()
    assert tuple(answer.column_names) == question.columns
    assert question.rows >= 1, "an answer without rows"


def test_answers_are_replaced_and_nothing_else():
    page = "# A\n\n## 1. One?\n\nWords.\n\n```sql\nSELECT 1 AS x;\n```\n\n```text\nold\n```\n"
    page += "\n## 2. Two?\n\n```sh\nls\n```\n"
    asked = []

    def ask(sql: str) -> pa.Table:
        asked.append(sql)
        return pa.table({"x": [1]})

    written = with_answers(page, ask)
    assert asked == ["SELECT 1 AS x;\n"]
    assert written == page.replace("old\n", "x\n-\n1\n")
    assert with_answers(written, ask) == written
    assert [(q.columns, q.rows) for q in questions(written)] == [(("x",), 1)]
