"""Write answers of the catalogue as text, CSV, JSON or Parquet."""

import csv
import json
from pathlib import Path
from typing import Literal, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.catalogue.display import format_table
from warehouse.catalogue.numbers import as_json, json_rows, with_plain_numbers
from warehouse.errors import ConfigurationError, StorageError
from warehouse.files import atomic_write

AnswerFormat = Literal["table", "csv", "json", "parquet"]


def write_answer(answer: pa.Table, path: Path, kind: AnswerFormat) -> None:
    """Write a whole answer to `path`, in a folder that exists.

    Raises ConfigurationError when the file cannot be written.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"Cannot write {path}: the folder {path.parent} does not exist; create it first.")
    try:
        with atomic_write(path) as temporary:
            if kind == "parquet":
                pq.write_table(with_plain_numbers(answer), temporary, compression="zstd")
                return
            with temporary.open("w", encoding="utf-8", newline="") as stream:
                print_answer(answer, stream, kind, limit=max(1, answer.num_rows))
    except (OSError, StorageError) as error:
        raise ConfigurationError(f"Cannot write {path}: {error}") from error


def print_answer(answer: pa.Table, stream: TextIO, kind: AnswerFormat, *, limit: int = 100) -> None:
    """Print an answer as text; a table has at most `limit` rows. Lists and structs in CSV are JSON.

    Raises ConfigurationError for Parquet, which is no text.
    """
    answer = with_plain_numbers(answer)
    if kind == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(answer.column_names)
        writer.writerows([_csv_cell(value) for value in row.values()] for row in answer.to_pylist())
    elif kind == "json":
        json.dump(json_rows(answer), stream, ensure_ascii=False, allow_nan=False, indent=2)
        stream.write("\n")
    elif kind == "table":
        stream.write(format_table(answer, limit=limit) + "\n")
    else:
        raise ConfigurationError("--format parquet needs --out FILE.")


def _csv_cell(value: object) -> object:
    return json.dumps(as_json(value), ensure_ascii=False) if isinstance(value, list | dict) else value
