"""Convert row dataclasses to Arrow and back: the annotations of a row class define the schema of its table."""

import dataclasses
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class ArrowType:
    """The Arrow type that stores an annotated field."""

    name: str


@dataclasses.dataclass(frozen=True)
class OneColumnEach:
    """Mark of a list of lists whose inner list k is stored as the column `prefix` + k, so that it is read alone.

    `count` names the integer field that holds the number of inner lists of a row. `minimum` columns are shown by the
    views of a table even where no row has as many.
    """

    prefix: str
    count: str
    minimum: int


Int16 = Annotated[int, ArrowType("int16")]
Int32 = Annotated[int, ArrowType("int32")]
Float32 = Annotated[float, ArrowType("float32")]
Micros = Annotated[datetime, ArrowType("timestamp")]

_PLAIN: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_DROP_COLUMNS = ("drop_reason", "drop_detail")


class TableRow(Protocol):
    """A row class: a dataclass with the name of its table and of the column that identifies a row."""

    table: ClassVar[str]
    key: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


RowT = TypeVar("RowT", bound=TableRow)


def _named(name: str) -> pa.DataType:
    return pa.timestamp("us", tz="UTC") if name == "timestamp" else getattr(pa, name)()


def _is_optional(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)


def _arrow_type(hint: Any) -> pa.DataType:
    if get_origin(hint) is Annotated:
        base, *marks = get_args(hint)
        named = [mark for mark in marks if isinstance(mark, ArrowType)]
        return _named(named[0].name) if named else _arrow_type(base)
    if _is_optional(hint):
        return _arrow_type(next(arg for arg in get_args(hint) if arg is not type(None)))
    if get_origin(hint) is list:
        return pa.list_(_arrow_type(get_args(hint)[0]))
    if dataclasses.is_dataclass(hint):
        return pa.struct(
            [pa.field(name, _arrow_type(h)) for name, h in get_type_hints(hint, include_extras=True).items()]
        )
    return _PLAIN[hint]


def column_hints(row_class: type[TableRow]) -> Mapping[str, Any]:
    """Return the annotation of each field of `row_class`: the key first, why a row was dropped last."""
    return _column_hints(row_class)


@cache
def _column_hints(row_class: type[Any]) -> Mapping[str, Any]:
    hints = get_type_hints(row_class, include_extras=True)
    names = [field.name for field in dataclasses.fields(row_class)]
    names.sort(key=lambda name: (name != row_class.key, name in _DROP_COLUMNS))
    return {name: hints[name] for name in names}


def column_doc(hint: Any) -> str:
    """Return the description that an annotation holds."""
    return next(mark for mark in get_args(hint)[1:] if isinstance(mark, str))


def spread_of(hint: Any) -> OneColumnEach | None:
    """Return how the inner lists of a field are spread over columns, None for a field that is one column."""
    return next((mark for mark in get_args(hint)[1:] if isinstance(mark, OneColumnEach)), None)


def spread_in(row_class: type[TableRow]) -> OneColumnEach | None:
    """Return the spread of the one field of `row_class` that has one."""
    return next((spread for hint in column_hints(row_class).values() if (spread := spread_of(hint))), None)


@cache
def schema_of(row_class: type[TableRow], num_spread: int = 0) -> pa.Schema:
    """Return the Arrow schema of a row class with `num_spread` columns for its field of lists of lists.

    Every column is nullable, as Delta and schema evolution need it.
    """
    fields: list[pa.Field] = []
    for name, hint in column_hints(row_class).items():
        spread = spread_of(hint)
        if spread is None:
            fields.append(pa.field(name, _arrow_type(hint)))
        else:
            fields += [pa.field(f"{spread.prefix}{k}", _arrow_type(hint).value_type) for k in range(num_spread)]
    return pa.schema(fields)


def num_spread_of(row_class: type[TableRow], schema: pa.Schema) -> int:
    """Count the columns of `schema` that belong to the field of lists of lists of `row_class`."""
    spread = spread_in(row_class)
    return 0 if spread is None else sum(is_spread_name(spread, name) for name in schema.names)


def is_spread_name(spread: OneColumnEach, name: str) -> bool:
    """Return whether `name` is one of the columns of a spread field."""
    return name.startswith(spread.prefix) and name[len(spread.prefix) :].isdigit()


def to_table(row_class: type[TableRow], rows: Sequence[TableRow]) -> pa.Table:
    """Convert rows of one class to an Arrow table with the schema of the class.

    Raises ValueError when a column that is not optional holds a null in a row that was not dropped.
    """
    columns: list[pa.Array] = []
    num_spread = 0
    for name, hint in column_hints(row_class).items():
        values = [_plain(getattr(row, name)) for row in rows]
        if not _is_optional(get_args(hint)[0]):
            _refuse_nulls(row_class, name, rows, values)
        if spread_of(hint) is None:
            columns.append(pa.array(values, type=_arrow_type(hint)))
            continue
        num_spread = max((len(value) for value in values if value is not None), default=0)
        inner = _arrow_type(hint).value_type
        for k in range(num_spread):
            lists = [value[k] if value is not None and k < len(value) else None for value in values]
            columns.append(pa.array(lists, type=inner))
    return pa.Table.from_arrays(columns, schema=schema_of(row_class, num_spread))


def _refuse_nulls(row_class: type[TableRow], name: str, rows: Sequence[TableRow], values: Sequence[Any]) -> None:
    for index, (row, value) in enumerate(zip(rows, values, strict=True)):
        if value is None and getattr(row, "drop_reason", None) is None:
            raise ValueError(f"column {name} of {row_class.__name__} is null in row {index}")


def _plain(value: Any) -> Any:
    if isinstance(value, list) and value and dataclasses.is_dataclass(value[0]):
        return [dataclasses.asdict(item) for item in value]
    return value


def from_table(row_class: type[RowT], table: pa.Table) -> Iterator[RowT]:
    """Yield the rows of an Arrow table as objects of `row_class`; columns that it does not have are ignored."""
    hints = column_hints(row_class)
    spread = spread_in(row_class)
    names = [name for name in table.column_names if name in hints]
    spread_names = [] if spread is None else [n for n in table.column_names if is_spread_name(spread, n)]
    structs = {name: struct for name, hint in hints.items() if (struct := _struct_class(hint)) is not None}
    field = next((name for name, hint in hints.items() if spread_of(hint) is not None), "")
    for record in table.select([*names, *spread_names]).to_pylist():
        for name, struct in structs.items():
            if record.get(name) is not None:
                record[name] = [struct(**item) for item in record[name]]
        if spread is not None:
            lists = [record.pop(name) for name in spread_names]
            record[field] = None if record[spread.count] is None else lists[: record[spread.count]]
        yield row_class(**record)


def _struct_class(hint: Any) -> type | None:
    """Return the dataclass inside `list[dataclass] | None`, if the field is one of those."""
    inner = get_args(hint)[0]
    if _is_optional(inner):
        inner = next(arg for arg in get_args(inner) if arg is not type(None))
    if get_origin(inner) is list and dataclasses.is_dataclass(get_args(inner)[0]):
        found: type = get_args(inner)[0]
        return found
    return None
