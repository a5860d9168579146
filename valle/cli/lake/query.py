"""`valle sql`: an answer of the catalogue."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import Field

from valle.cli.arguments import FIELDS, say
from valle.cli.lake.options import LakeOptions
from warehouse.catalogue.answers import AnswerFormat, print_answer, write_answer
from warehouse.catalogue.views import answer_query, named_queries, named_query
from warehouse.errors import ConfigurationError


class SqlOptions(LakeOptions):
    """Options of `valle sql`."""

    query: str | None = None
    """Name of a named query."""
    format: AnswerFormat = "table"
    """Format of the result."""
    out: Path | None = None
    """File for the whole result; needed for parquet."""
    limit: int = Field(default=100, ge=1, le=1_000_000_000)
    """Most rows that a table prints."""


def sql(
    sql: Annotated[str, Parameter(help="The query, in DuckDB's SQL.")] = "",
    /,
    *,
    options: Annotated[SqlOptions, FIELDS] = SqlOptions(),
) -> int:
    """Query the catalogue by SQL or by the name of a named query; without either, list the named queries."""
    if not sql and not options.query:
        width = max(map(len, named_queries()))
        say("\n".join(f"{name.ljust(width)}  {query.question}" for name, query in named_queries().items()))
        return 0
    if sql and options.query:
        raise ConfigurationError("Give either a query or the name of one, not both.")
    text = named_query(options.query).sql if options.query else sql
    answer = answer_query(options.data_root.lake, text)
    if options.out is not None:
        write_answer(answer, options.out, options.format)
        say(f"{answer.num_rows:,} rows: {options.out}")
    else:
        print_answer(answer, sys.stdout, options.format, limit=options.limit)
    return 0
