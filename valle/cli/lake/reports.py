"""`valle stats` and `valle plot`: tables and figures of the catalogue and of training runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from valle.cli.arguments import FIELDS, CommandLineError, say
from valle.cli.lake.options import LakeOptions
from warehouse.catalogue.display import format_table
from warehouse.catalogue.views import connect, named_query, run_query


class StatsOptions(LakeOptions):
    """Options of `valle stats`."""

    out: Path | None = None
    """Folder for the report; by default `reports/corpus` below the data root."""


class PlotOptions(LakeOptions):
    """Options of `valle plot`."""

    x: str = "step"
    """Metric on the horizontal axis: step, tokens, elapsed or epoch."""
    y: tuple[str, ...] = ("loss",)
    """Metrics to plot, such as `loss_ar,top10_nar`."""
    out: Path = Path("plot.png")
    """PNG file."""


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
