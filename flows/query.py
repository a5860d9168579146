"""SQL on the catalogue as a flow: the answer is a table in the UI and a file of the data root."""

from datetime import UTC, datetime
from pathlib import Path

from prefect import flow

from flows.parameters import QueryParameters
from flows.runtime.artifacts import publish_table
from flows.runtime.notices import notify
from warehouse.catalogue.answers import write_answer
from warehouse.catalogue.numbers import json_rows
from warehouse.catalogue.views import connect, named_query, run_select

# Maximum of rows in the UI; the file has all.
_SHOWN = 200


@flow(name="query", flow_run_name="query {parameters.subject}")
def query(parameters: QueryParameters) -> Path:
    """Run SQL or a named query and return the file of the answer."""
    sql = named_query(parameters.query).sql if parameters.query is not None else parameters.sql
    lake = parameters.data_root.lake
    with connect(lake.snapshot()) as connection:
        answer = run_select(connection, sql, lake=lake)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = parameters.data_root.reports / "queries" / f"{parameters.subject}-{stamp}.{parameters.format}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_answer(answer, path, parameters.format)
    left_out = answer.num_rows - _SHOWN
    description = f"{sql.strip()}\n\n{answer.num_rows:,} rows: {path}"
    description += f" (the last {left_out:,} rows only there)" if left_out > 0 else ""
    publish_table(f"query {parameters.subject}", json_rows(answer.slice(0, _SHOWN)), description)
    notify("%d rows: %s", answer.num_rows, path)
    return path
