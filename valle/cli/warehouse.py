"""Commands about the lake and the catalogue: sql, stats, catalogue, fsck, compact, vacuum, retry."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg

from valle.cli.arguments import parse, say
from valle.data_root import DataRoot, open_data_root
from warehouse.catalogue.answers import AnswerFormat, print_answer, write_answer
from warehouse.catalogue.display import format_table
from warehouse.catalogue.views import connect, named_queries, named_query, run_query
from warehouse.errors import ConfigurationError


class _Located(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""

    @property
    def data_root(self) -> DataRoot:
        """The folders below the data root."""
        return open_data_root(self.data)


class SqlOptions(_Located):
    """Ask the catalogue, by SQL or by the name of a kept query; without either, list the kept queries."""

    sql: CliPositionalArg[str] = ""
    """The query."""
    query: str | None = None
    """Name of a kept query."""
    format: AnswerFormat = "table"
    """How to write the answer."""
    out: Path | None = None
    """File for the whole answer; needed for parquet."""
    limit: int = Field(default=100, ge=1)
    """Most rows that a table prints."""


class StatsOptions(_Located):
    """Tables and plots of everything in the catalogue."""

    out: Path | None = None
    """Folder for the report; by default `reports/corpus` below the data root."""


class CatalogueOptions(_Located):
    """Rebuild the DuckDB file from the lake."""


class FsckOptions(_Located):
    """Check every promise of the lake."""


class CompactOptions(_Located):
    """Merge small data files of the lake."""


class VacuumOptions(_Located):
    """Remove files of the lake that nothing names."""

    grace_hours: float = Field(default=24.0, ge=0)
    """Files written or replaced since are spared: a writer may be about to commit them, a reader may read them."""
    dry_run: bool = False
    """Only say what would be removed."""


class RetryOptions(_Located):
    """Forget dropped rows of a stage, so that the next run tries them again."""

    stage: CliPositionalArg[str]
    """The stage, or `ingest`."""
    reason: str | None = None
    """Only rows dropped for this reason."""
    corpus: str | None = None
    """Only rows of this corpus."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one of the commands of this module."""
    handlers: dict[str, Callable[[Sequence[str]], int]] = {
        "sql": _sql,
        "stats": _stats,
        "catalogue": _catalogue,
        "fsck": _fsck,
        "compact": _compact,
        "vacuum": _vacuum,
        "retry": _retry,
    }
    return handlers[command](arguments)


def _sql(arguments: Sequence[str]) -> int:
    options = parse(SqlOptions, "sql", arguments)
    if not options.sql and not options.query:
        width = max(map(len, named_queries()))
        say("\n".join(f"{name.ljust(width)}  {query.question}" for name, query in named_queries().items()))
        return 0
    if options.sql and options.query:
        raise ConfigurationError("Give either a query or the name of one, not both.")
    sql = named_query(options.query).sql if options.query else options.sql
    with connect(options.data_root.lake.snapshot()) as connection:
        answer = run_query(connection, sql)
    if options.out is not None:
        write_answer(answer, options.out, options.format)
        say(f"{answer.num_rows:,} rows: {options.out}")
    else:
        print_answer(answer, sys.stdout, options.format, limit=options.limit)
    return 0


def _stats(arguments: Sequence[str]) -> int:
    from valle.statistics.corpus_report import corpus_report

    options = parse(StatsOptions, "stats", arguments)
    directory = options.out or options.data_root.reports / "corpus"
    with connect(options.data_root.lake.snapshot()) as connection:
        for name in ("hours_by_corpus", "hours_by_language", "drops_by_reason"):
            say(f"{named_query(name).question}\n{format_table(run_query(connection, named_query(name).sql))}\n")
        report = corpus_report(lambda name: run_query(connection, named_query(name).sql), directory)
    say(f"Report with {len(report.plots)} plots: {report.markdown_path}")
    return 0


def _catalogue(arguments: Sequence[str]) -> int:
    options = parse(CatalogueOptions, "catalogue", arguments)
    path = options.data_root.catalogue.refresh()
    say(f"{path}\nOpen it with: duckdb -readonly {path}")
    return 0


def _fsck(arguments: Sequence[str]) -> int:
    from warehouse.upkeep.fsck import fsck

    options = parse(FsckOptions, "fsck", arguments)
    check = fsck(options.data_root.lake)
    say(
        f"{check.data_files} data files, {check.rows:,} rows, {len(check.orphans)} orphaned files "
        "(`valle vacuum` removes them)"
    )
    for fault in check.faults:
        say(f"{fault.table}: {fault.kind}: {fault.what}")
    say("The lake is sound." if check.is_sound else f"{len(check.faults)} faults.")
    return 0 if check.is_sound else 1


def _compact(arguments: Sequence[str]) -> int:
    from warehouse.upkeep.maintenance import compact

    options = parse(CompactOptions, "compact", arguments)
    for done in compact(options.data_root.lake):
        say(f"{done.table}: {done.files_before} data files are now {done.files_after}")
    options.data_root.catalogue.refresh()
    return 0


def _vacuum(arguments: Sequence[str]) -> int:
    from warehouse.upkeep.maintenance import vacuum

    options = parse(VacuumOptions, "vacuum", arguments)
    done = vacuum(options.data_root.lake, grace_hours=options.grace_hours, dry_run=options.dry_run)
    say(f"{'Would remove' if options.dry_run else 'Removed'} {done.files} files, {done.size / 1e6:.1f} MB")
    return 0


def _retry(arguments: Sequence[str]) -> int:
    from warehouse.upkeep.retry import forget_drops

    options = parse(RetryOptions, "retry", arguments)
    forgotten = forget_drops(options.data_root.lake, options.stage, reason=options.reason, corpus=options.corpus)
    say(f"Forgot {forgotten} dropped rows of {options.stage}; run `valle prepare` again to retry them.")
    return 0
