"""The items of a training set: the chosen utterances with the places of their codes, written as one data file."""

from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from warehouse.catalogue.literals import text_literal
from warehouse.catalogue.views import run_query
from warehouse.errors import TrainingError
from warehouse.lake.arrow import schema_of
from warehouse.lake.data_files import ROWS_IN_GROUP, DataFile, write_tables
from warehouse.lake.store import Location, open_parquet, relative_name
from warehouse.lake.tables import Lake, Snapshot
from warehouse.model_rows import TrainingItemRow

_NO_PLACES = """
SELECT NULL::VARCHAR AS segment_id, NULL::VARCHAR AS fingerprint, NULL::VARCHAR AS file, NULL::INTEGER AS row_group,
       NULL::INTEGER AS "row" WHERE false
"""


def write_items(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, lake: Lake, set_id: str) -> DataFile:
    """Write the rows of `whole` as items of the set `set_id`, in the order of the segment ids.

    Raises TrainingError when an utterance has no row of codes, or several.
    """
    for table in ("codes", "mixtures"):
        _define_places(connection, snapshot, lake, table)
    schema = schema_of(TrainingItemRow)
    reader = connection.execute(_items_sql(connection, schema), {"set_id": set_id}).to_arrow_reader(ROWS_IN_GROUP)
    file = write_tables(lake.folder(TrainingItemRow.table), TrainingItemRow, schema, _tables(reader, schema))
    chosen = run_query(connection, "SELECT count(*) AS count FROM chosen")["count"][0].as_py()
    if file.rows != chosen:
        raise TrainingError(f"{chosen} utterances have {file.rows} rows of codes; run `valle lake fsck`.")
    return file


def _items_sql(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> str:
    """Return the SQL of the items, with the columns of `schema` that the chosen utterances have."""
    present = run_query(connection, "SELECT column_name FROM (DESCRIBE whole)")["column_name"].to_pylist()
    has_mixtures = "mixture_fingerprint" in present
    mixture = "c.mixture_fingerprint" if has_mixtures else "NULL"
    missing = {"word_times", "codes_start", "mixture_kind", "mixture_licence"} - set(present)
    return f"""
        SELECT {", ".join(f'"{name}"' for name in schema.names if name not in missing)}
        FROM (
            SELECT $set_id AS training_set, c.*, k.file AS codes_file, k.row_group AS codes_row_group,
                   k."row" AS codes_row, m.file AS mixture_file, m.row_group AS mixture_row_group,
                   m."row" AS mixture_row
            FROM whole c
            JOIN codes_places k ON k.segment_id = c.segment_id AND k.fingerprint = c.codes_fingerprint
            LEFT JOIN mixtures_places m ON m.segment_id = c.segment_id AND m.fingerprint = {mixture}
        )
        ORDER BY segment_id
        """


def _tables(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the batches with the columns of `schema`, those that nothing has as nulls."""
    for batch in reader:
        columns = [
            batch[field.name].cast(field.type) if field.name in batch.schema.names else pa.nulls(len(batch), field.type)
            for field in schema
        ]
        yield pa.Table.from_arrays(columns, schema=schema)


def _define_places(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, lake: Lake, table: str) -> None:
    """Make the view `TABLE_places` of a table of codes: segment, fingerprint, data file, row group and row."""
    files = snapshot.data_files.get(table, ())
    if not files:
        connection.execute(f"CREATE VIEW {table}_places AS {_NO_PLACES}")
        return
    connection.register("listed_groups", _row_groups(files, lake.root))
    connection.execute(f"CREATE TABLE {table}_groups AS FROM listed_groups")
    connection.unregister("listed_groups")
    listed = ", ".join(text_literal(path) for path in files)
    connection.execute(
        f"""
        CREATE VIEW {table}_places AS
        SELECT k.segment_id, k.fingerprint, g.file, g.row_group, (k.file_row_number - g.first_row) AS "row"
        FROM read_parquet([{listed}], filename = true, file_row_number = true, hive_partitioning = false) k
        JOIN {table}_groups g
        ON g.path = k.filename AND k.file_row_number >= g.first_row AND k.file_row_number < g.first_row + g."rows"
        """
    )


def _row_groups(files: Sequence[Location], lake: Location) -> pa.Table:
    rows = []
    for path in files:
        with open_parquet(path) as opened:
            metadata = opened.metadata
        first = 0
        for group in range(metadata.num_row_groups):
            count = metadata.row_group(group).num_rows
            relative = relative_name(path, lake)
            rows.append({"path": str(path), "file": relative, "row_group": group, "first_row": first, "rows": count})
            first += count
    return pa.Table.from_pylist(rows)
