"""Row dataclasses to Arrow and back: the schema of a table is derived from the annotations of its row class."""

import dataclasses
import types
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Protocol, Union, get_args, get_origin, get_type_hints

import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class ArrowType:
    """Marks an annotation with the Arrow type that stores it."""

    name: str


Int16 = Annotated[int, ArrowType("int16")]
Int32 = Annotated[int, ArrowType("int32")]
Float32 = Annotated[float, ArrowType("float32")]
Micros = Annotated[datetime, ArrowType("timestamp")]

_PLAIN: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


class Row(Protocol):
    """What every row class has: the table it belongs to and the column that identifies a row."""

    table: ClassVar[str]
    key: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


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


def column_hints(row_class: type) -> dict[str, Any]:
    """The annotated type of each column of `row_class`, in order."""
    hints = get_type_hints(row_class, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(row_class)}


def column_doc(hint: Any) -> str:
    """The sentence that an annotation carries."""
    return next(mark for mark in get_args(hint)[1:] if isinstance(mark, str))


@cache
def schema_of(row_class: type) -> pa.Schema:
    """The Arrow schema of a row class. Every column is nullable, as Delta and schema evolution want it."""
    return pa.schema([pa.field(name, _arrow_type(hint)) for name, hint in column_hints(row_class).items()])


def to_table(row_class: type, rows: Sequence[Any]) -> pa.Table:
    """Rows of one class as an Arrow table with the schema of the class.

    Raises ValueError when a column that is not optional holds a null.
    """
    columns = []
    for name, hint in column_hints(row_class).items():
        values = [_plain(getattr(row, name)) for row in rows]
        inner = get_args(hint)[0]
        if not _is_optional(inner) and any(value is None for value in values):
            raise ValueError(f"column {name} of {row_class.__name__} is null in row {values.index(None)}")
        columns.append(pa.array(values, type=_arrow_type(hint)))
    return pa.Table.from_arrays(columns, schema=schema_of(row_class))


def _plain(value: Any) -> Any:
    if isinstance(value, list) and value and dataclasses.is_dataclass(value[0]):
        return [dataclasses.asdict(item) for item in value]
    return value


def from_table(row_class: type, table: pa.Table) -> Iterable[Any]:
    """The rows of an Arrow table as objects of `row_class`; columns it does not know are ignored."""
    names = [name for name in column_hints(row_class) if name in table.column_names]
    structs = {name: _struct_class(hint) for name, hint in column_hints(row_class).items()}
    for record in table.select(names).to_pylist():
        for name, struct in structs.items():
            if struct is not None and record.get(name) is not None:
                record[name] = [struct(**item) for item in record[name]]
        yield row_class(**record)


def _struct_class(hint: Any) -> type | None:
    """The dataclass inside `list[dataclass] | None`, if the column is one of those."""
    inner = get_args(hint)[0]
    if _is_optional(inner):
        inner = next(arg for arg in get_args(inner) if arg is not type(None))
    if get_origin(inner) is list and dataclasses.is_dataclass(get_args(inner)[0]):
        return get_args(inner)[0]
    return None
