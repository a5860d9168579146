"""Convert the numbers of answers to those of other programs: sums to 64-bit integers, JSON without infinity."""

import math
from decimal import Decimal
from typing import Any

import pyarrow as pa


def with_plain_numbers(answer: pa.Table) -> pa.Table:
    """Return the answer with decimals without fraction as int64, where they fit.

    DuckDB sums integers to 128 bits, which Arrow stores as a decimal and JSON would show as a string.
    """
    for index, field in enumerate(answer.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            try:
                column = answer.column(index).cast(pa.int64())
            except pa.ArrowInvalid:
                continue  # Larger than 64 bits.
            answer = answer.set_column(index, field.name, column)
    return answer


def as_json(value: Any) -> Any:
    """Convert a cell to what JSON can hold: null for NaN and infinity, numbers for decimals, text for the rest."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def json_rows(answer: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of an answer as strict JSON can hold them."""
    return [as_json(row) for row in with_plain_numbers(answer).to_pylist()]
