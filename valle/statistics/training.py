"""Plot the loss curve of a training run from the `metrics.jsonl` beside its checkpoints."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valle.statistics.style import colour, label_axes, new_figure, save_figure
from warehouse.errors import TrainingError


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the numbers of every line of a `metrics.jsonl`, in order of `step`.

    A last line that a crash truncated is skipped. Raise TrainingError when there is no line with a `step`.
    """
    if not path.exists():
        raise TrainingError(f"There is no {path}; give the metrics.jsonl of a training run.")
    lines = path.read_text(encoding="utf-8").splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise TrainingError(f"Line {number} of {path} is not JSON ({error}); delete it and try again.") from error
        numbers = {k: float(v) for k, v in record.items() if isinstance(v, int | float) and not isinstance(v, bool)}
        if "step" in numbers:
            records.append(numbers)
    if not records:
        raise TrainingError(f"No line of {path} has a step; let the training run for at least one step.")
    return sorted(records, key=lambda record: record["step"])


def _smooth(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Compute a bias-corrected exponential moving average over about `span` values [N]."""
    decay = 1 - 1 / max(span, 1)
    smoothed = np.empty_like(values)
    total = weight = 0.0
    for i, value in enumerate(values):
        total, weight = decay * total + value, decay * weight + 1
        smoothed[i] = total / weight
    return smoothed


def plot_training(metrics: Path, path: Path, *, fields: Sequence[str] = ("loss", "validation_loss")) -> Path:
    """Plot each logged metric of `fields` over steps, raw (light) and smoothed (dark).

    Raise TrainingError when the run logged none of them.
    """
    records = read_metrics(metrics)
    written = [field for field in fields if any(field in record for record in records)]
    if not written:
        known = sorted({name for record in records for name in record} - {"step"})
        raise TrainingError(f"{metrics} has none of {', '.join(fields)}; it has {', '.join(known) or 'no number'}.")
    figure = new_figure()
    axes = figure.subplots()
    for index, field in enumerate(written):
        points = [(r["step"], r[field]) for r in records if field in r and np.isfinite(r[field])]
        steps = np.array([step for step, _ in points])
        values = np.array([value for _, value in points])
        span = max(1, len(points) // 50)
        label = field.replace("_", " ")
        if span > 1:
            axes.plot(steps, values, color=colour(index), alpha=0.25, linewidth=1)
            label += f" (average of {span})"
        marker = "o" if len(points) < 40 else ""
        axes.plot(steps, _smooth(values, span), color=colour(index), linewidth=2, marker=marker, label=label)
    label_axes(axes, title="Training", x="step (optimizer updates)", y="loss (nats per code)")
    axes.legend(fontsize=10, frameon=False)
    return save_figure(figure, path)
