"""Answers of the catalogue as files: text, CSV, JSON or Parquet."""

import csv
import json
from pathlib import Path
from typing import Literal, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.catalogue.display import format_table
from warehouse.errors import ConfigurationError

AnswerFormat = Literal["table", "csv", "json", "parquet"]


def write_answer(answer: pa.Table, path: Path, kind: AnswerFormat) -> None:
    """Write a whole answer to `path`. Raises ConfigurationError when the file cannot be written."""
    try:
        if kind == "parquet":
            pq.write_table(answer, path, compression="zstd")
            return
        with path.open("w", encoding="utf-8", newline="") as stream:
            print_answer(answer, stream, kind, limit=max(1, answer.num_rows))
    except OSError as error:
        raise ConfigurationError(f"Cannot write {path}: {error.strerror or error}.") from error


def print_answer(answer: pa.Table, stream: TextIO, kind: AnswerFormat, *, limit: int = 100) -> None:
    """Print an answer as text; a table has at most `limit` rows. Lists and structs in CSV are JSON.

    Raises ConfigurationError for Parquet, which is no text.
    """
    if kind == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(answer.column_names)
        writer.writerows([_csv_cell(value) for value in row.values()] for row in answer.to_pylist())
    elif kind == "json":
        json.dump(answer.to_pylist(), stream, default=str, ensure_ascii=False, indent=2)
        stream.write("\n")
    elif kind == "table":
        stream.write(format_table(answer, limit=limit) + "\n")
    else:
        raise ConfigurationError("--format parquet needs --out FILE.")


def _csv_cell(value: object) -> object:
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, list | dict) else value
