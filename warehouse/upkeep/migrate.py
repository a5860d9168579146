"""Conversion of lakes of format 1: their table of codes lacks a statistic of its data files.

By that statistic readers know the columns of a data file without opening it. The rows are the same in both formats.
"""

from typing import Any

from deltalake import CommitProperties
from deltalake.exceptions import DeltaError

from warehouse.errors import LakeError
from warehouse.lake.arrow import TableRow, from_table, spread_in
from warehouse.lake.data_files import write_rows
from warehouse.lake.format import LAKE_FORMAT, note_format, read_format
from warehouse.lake.store import read_parquet
from warehouse.lake.tables import Lake, add_action, one_line
from warehouse.tables import TABLES


def migrate_lake(lake: Lake) -> int:
    """Convert a lake of format 1 and return how many data files were written again; 0 for one of format 2.

    The old files stay until `valle lake vacuum`, and those that training sets name as long as these exist. Raises
    LakeError when a table cannot be read or written.
    """
    converted = sum(_migrate_table(lake, row_class) for row_class in TABLES if spread_in(row_class) is not None)
    note_format(lake.root, is_new=False)
    return converted


def _migrate_table(lake: Lake, row_class: type[TableRow]) -> int:
    spread = spread_in(row_class)
    assert spread is not None, "only tables with spread columns have changed"
    with lake.newest(row_class.table) as table:
        if table is None:
            return 0
        actions: Any = table.get_add_actions(flatten=True)
        if not actions.num_rows or read_format(lake.root) is not None:
            return 0
        folder = lake.folder(row_class.table)
        paths = actions.column("path").to_pylist()
        # One file at a time is in memory.
        written = [
            write_rows(folder, row_class, list(from_table(row_class, read_parquet(folder / str(path)))))
            for path in paths
        ]
        try:
            table.create_write_transaction(
                [add_action(row_class, file) for file in written],
                mode="overwrite",
                schema=table.schema(),
                commit_properties=CommitProperties(custom_metadata={"unit": f"migrate:{LAKE_FORMAT}"}),
            )
        except (DeltaError, OSError) as error:
            raise LakeError(
                f"Table {row_class.table} of {lake.root} cannot be converted ({one_line(error)})."
            ) from error
    return len(written)
