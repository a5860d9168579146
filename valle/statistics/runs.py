"""Plots of several training runs in one figure, from their metrics."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from valle.reporting import Plot
from valle.statistics.style import colour, label_axes, legend_below, new_figure, save_figure
from valle.statistics.training import read_metrics
from warehouse.errors import ConfigurationError

_STYLES = ("-", "--", ":", "-.")


def plot_runs(runs: Mapping[str, Path], path: Path, *, x: str, fields: Sequence[str]) -> Plot:
    """Plot metrics of runs, given their directories by name, over another metric such as `step` or `tokens`.

    A colour is a run, a line style a metric. Raises ConfigurationError for a metric that no run has, and TrainingError
    for a run without metrics.
    """
    records = {name: read_metrics(directory / "metrics.jsonl") for name, directory in runs.items()}
    known = sorted({field for lines in records.values() for line in lines for field in line})
    if unknown := sorted({x, *fields} - set(known)):
        raise ConfigurationError(f"No run has the metric {', '.join(unknown)}; there are {', '.join(known)}.")
    figure = new_figure(height=4.5)
    axes = figure.subplots()
    for number, (name, lines) in enumerate(records.items()):
        for style, field in enumerate(fields):
            points = _points(lines, x, field)
            axes.plot(
                [point[0] for point in points],
                [point[1] for point in points],
                color=colour(number),
                linestyle=_STYLES[style % len(_STYLES)],
                marker="o" if len(points) < 20 else "",
                label=name if len(fields) == 1 else f"{name}, {field}",
            )
    label_axes(axes, title=", ".join(fields), x=x.replace("_", " "), y=", ".join(fields))
    legend_below(figure, axes)
    save_figure(figure, path)
    return Plot(path, f"{', '.join(fields)} over {x} of {', '.join(records)}.")


def _points(lines: Sequence[Mapping[str, float]], x: str, field: str) -> list[tuple[float, float]]:
    """Return the values of a metric; where its line has no x, that of the line before, as evaluations follow steps."""
    points, last = [], 0.0
    for line in lines:
        last = line.get(x, last)
        if field in line:
            points.append((last, line[field]))
    return points
