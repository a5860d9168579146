"""Columns that had another name once: rows of old data files are read under the name of today.

Data files never change, and training sets pin versions of tables, so old names stay readable.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import pyarrow as pa

RENAMED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "recordings": MappingProxyType({"subset": "part"}),
        "training_items": MappingProxyType({"codes_file": "codes_part", "mixture_file": "mixture_part"}),
    }
)
"""Table -> the name of a column -> its old name. An old name is never given to another column."""


def old_names(table_name: str, columns: Iterable[str]) -> dict[str, str]:
    """Return name -> old name of the columns of a table that its data files, with `columns`, hold under the old one."""
    renamed = RENAMED.get(table_name)
    if renamed is None:
        return {}
    stored = set(columns)
    return {name: old for name, old in renamed.items() if old in stored}


def rename_columns(table_name: str, rows: pa.Table) -> pa.Table:
    """Return rows of one data file of a table with the column names of today."""
    today = {old: name for name, old in old_names(table_name, rows.column_names).items()}
    return rows.rename_columns([today.get(column, column) for column in rows.column_names])
