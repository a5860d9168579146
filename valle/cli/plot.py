"""`valle plot RUN...`: metrics of several runs in one figure."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict

from valle.cli.arguments import FIELDS, CommandLineError, say


class PlotOptions(BaseModel):
    """Options of `valle plot`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    x: str = "step"
    """Metric on the horizontal axis: step, tokens, elapsed or epoch."""
    y: list[str] = ["loss"]
    """Metrics to plot, such as `loss_ar,top10_nar`."""
    out: Path = Path("plot.png")
    """PNG file."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def plot(
    *runs: Annotated[str, Parameter(help="Names of training runs.")],
    options: Annotated[PlotOptions, FIELDS] = PlotOptions(),
) -> int:
    """Plot metrics of training runs into one figure."""
    if not runs:
        raise CommandLineError("Give the name of at least one run.")
    from valle.data_root import open_data_root
    from valle.statistics.runs import plot_runs

    root = open_data_root(options.data)
    drawn = plot_runs({run: root.runs / run for run in runs}, options.out, x=options.x, fields=options.y)
    say(f"{drawn.path}: {drawn.caption}")
    return 0
