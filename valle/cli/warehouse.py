"""Commands about the lake, the catalogue and runs: sql, stats, plot, catalogue, fsck, compact, vacuum, retry."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field

from valle.cli.arguments import FIELDS, CommandLineError, say
from valle.data_root import DataRoot, open_data_root
from warehouse.catalogue.answers import AnswerFormat, print_answer, write_answer
from warehouse.catalogue.display import format_table
from warehouse.catalogue.views import answer_query, connect, named_queries, named_query, run_query
from warehouse.errors import ConfigurationError


class LakeOptions(BaseModel):
    """Options of a command about the lake."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""

    @property
    def data_root(self) -> DataRoot:
        """The folders below the data root."""
        return open_data_root(self.data)


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


class StatsOptions(LakeOptions):
    """Options of `valle stats`."""

    out: Path | None = None
    """Folder for the report; by default `reports/corpus` below the data root."""


class PlotOptions(LakeOptions):
    """Options of `valle plot`."""

    x: str = "step"
    """Metric on the horizontal axis: step, tokens, elapsed or epoch."""
    y: list[str] = ["loss"]
    """Metrics to plot, such as `loss_ar,top10_nar`."""
    out: Path = Path("plot.png")
    """PNG file."""


class VacuumOptions(LakeOptions):
    """Options of `valle lake vacuum`."""

    grace_hours: float = Field(default=24.0, ge=0, le=1e6)
    """Files replaced since are kept, as a reader may read them; what a run may use is kept for an hour at least."""
    dry_run: bool = False
    """Only print what would be removed."""


class RetryOptions(LakeOptions):
    """Options of `valle data retry`."""

    reason: str | None = None
    """Only rows dropped for this reason."""
    corpus: str | None = None
    """Only rows of this corpus."""


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
    answer = answer_query(options.data_root.lake.snapshot(), text)
    if options.out is not None:
        write_answer(answer, options.out, options.format)
        say(f"{answer.num_rows:,} rows: {options.out}")
    else:
        print_answer(answer, sys.stdout, options.format, limit=options.limit)
    return 0


def stats(*, options: Annotated[StatsOptions, FIELDS] = StatsOptions()) -> int:
    """Write tables and plots of everything in the catalogue."""
    from valle.statistics.corpus_report import corpus_report

    directory = options.out or options.data_root.reports / "corpus"
    with connect(options.data_root.lake.snapshot()) as connection:
        for name in ("hours_by_corpus", "hours_by_language", "drops_by_reason"):
            say(f"{named_query(name).question}\n{format_table(run_query(connection, named_query(name).sql))}\n")
        report = corpus_report(lambda name: run_query(connection, named_query(name).sql), directory)
    say(f"Report with {len(report.plots)} plots: {report.markdown_path}")
    return 0


def plot(
    *runs: Annotated[str, Parameter(help="Names of training runs.")],
    options: Annotated[PlotOptions, FIELDS] = PlotOptions(),
) -> int:
    """Plot metrics of training runs into one figure."""
    if not runs:
        raise CommandLineError("Give the name of at least one run.")
    from valle.statistics.runs import plot_runs

    runs_folder = options.data_root.runs
    drawn = plot_runs({run: runs_folder / run for run in runs}, options.out, x=options.x, fields=options.y)
    say(f"{drawn.path}: {drawn.caption}")
    return 0


def catalogue(*, options: Annotated[LakeOptions, FIELDS] = LakeOptions()) -> int:
    """Rebuild the DuckDB file from the lake."""
    path = options.data_root.catalogue.refresh()
    say(f"{path}\nOpen it with: duckdb -readonly {path}")
    return 0


def fsck(*, options: Annotated[LakeOptions, FIELDS] = LakeOptions()) -> int:
    """Check every promise of the lake; 1 when one is broken."""
    from warehouse.upkeep.fsck import fsck as check_lake

    check = check_lake(options.data_root.lake)
    orphans = f"{len(check.orphans)} orphaned files (`valle lake vacuum` removes them)"
    say(f"{check.data_files} data files, {check.rows:,} rows, {orphans}")
    for fault in check.faults:
        say(f"{fault.table}: {fault.kind}: {fault.what}")
    say("The lake is sound." if check.is_sound else f"{len(check.faults)} faults.")
    return 0 if check.is_sound else 1


def compact(*, options: Annotated[LakeOptions, FIELDS] = LakeOptions()) -> int:
    """Merge small files of the lake."""
    from warehouse.upkeep.maintenance import compact as compact_lake

    for done in compact_lake(options.data_root.lake):
        say(f"{done.table}: {done.files_before} data files are now {done.files_after}")
    # The catalogue names data files that are gone now.
    options.data_root.catalogue.refresh()
    return 0


def vacuum(*, options: Annotated[VacuumOptions, FIELDS] = VacuumOptions()) -> int:
    """Remove files of the lake that no table refers to."""
    from warehouse.upkeep.maintenance import vacuum as vacuum_lake

    done = vacuum_lake(options.data_root.lake, grace_hours=options.grace_hours, dry_run=options.dry_run)
    say(f"{'Would remove' if options.dry_run else 'Removed'} {done.files} files, {done.size / 1e6:.1f} MB")
    return 0


def retry(
    stage: Annotated[str, Parameter(help="The stage, or `ingest`.")],
    /,
    *,
    options: Annotated[RetryOptions, FIELDS] = RetryOptions(),
) -> int:
    """Remove dropped rows of a stage, so that the next run processes them again."""
    from warehouse.upkeep.retry import forget_drops

    removed = forget_drops(options.data_root.lake, stage, reason=options.reason, corpus=options.corpus)
    say(f"Removed {removed} dropped rows of {stage}; run `valle prepare` again to retry them.")
    return 0
