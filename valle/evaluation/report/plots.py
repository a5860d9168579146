"""Plot an evaluation: WER with intervals, the distribution of SIM-o, and WER against SIM-o."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from valle.evaluation.stats.aggregate import SystemScores, similarity, word_error_rate
from valle.evaluation.stats.bootstrap import Estimate
from valle.statistics.style import colour, label_axes, legend_below, new_figure, save_figure, shorten
from warehouse.model_rows import ScoreRow

_MAX_RATE = 100.0


def _bounds(estimate: Estimate) -> tuple[float, float]:
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    return low, high


def plot_word_errors(systems: Sequence[SystemScores], path: Path) -> Path:
    """Plot one line per system: micro WER as a dot with its interval, macro WER as a cross."""
    figure = new_figure(height=1.6 + 0.4 * len(systems))
    axes = figure.subplots()
    for index, system in enumerate(systems):
        low, high = _bounds(system.wer)
        axes.hlines(index, 100 * low, 100 * high, color=colour(index), linewidth=3)
        axes.plot(100 * system.wer.value, index, "o", color=colour(index), markersize=9)
        axes.plot(100 * system.wer_macro.value, index, "x", color="black", markersize=7)
        axes.annotate(
            f"{100 * system.wer.value:.2f}",
            (100 * max(high, system.wer_macro.value), index),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
        )
    axes.set_yticks(range(len(systems)), [shorten(system.system) for system in systems])
    axes.set_ylim(len(systems) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.margins(x=0.12)
    label_axes(axes, title="Word errors", x="WER (%): dot micro with its 95 % interval by speaker, cross macro", y="")
    return save_figure(figure, path)


def plot_similarities(rows_by_system: Mapping[str, Sequence[ScoreRow]], path: Path) -> Path:
    """Plot the share of utterances whose SIM-o is at most x, one line per system: further right is better."""
    figure = new_figure(height=4.6)
    axes = figure.subplots()
    for index, (system, rows) in enumerate(rows_by_system.items()):
        values = np.sort([value for row in rows if (value := similarity(row)) is not None])
        if len(values) == 0:
            continue
        axes.ecdf(values, color=colour(index), linewidth=2, label=f"{shorten(system)} (mean {values.mean():.3f})")
    label_axes(axes, title="Distribution of speaker similarity", x="SIM-o (cosine)", y="share of utterances")
    legend_below(figure, axes)
    return save_figure(figure, path)


def plot_errors_against_similarity(rows_by_system: Mapping[str, Sequence[ScoreRow]], path: Path) -> Path:
    """Plot each utterance as a dot: SIM-o to the right, WER upwards, rates above 100 % at 100 %.

    Rates are multiples of one over the number of words, so that dots would overlap; each is moved by less than one
    point, reproducibly.
    """
    figure = new_figure(height=5.0)
    axes = figure.subplots()
    markers = "osD^vPX*"
    for index, (system, rows) in enumerate(rows_by_system.items()):
        points = [(value, row) for row in rows if (value := similarity(row)) is not None]
        # One generator per system, so that its dots do not move when another system is added.
        nudges = np.random.default_rng(0).uniform(-0.9, 0.9, len(points))
        rates = [min(100 * word_error_rate(row), _MAX_RATE) for _, row in points]
        axes.scatter(
            [value for value, _ in points],
            np.array(rates) + nudges,
            s=22,
            alpha=0.55,
            color=colour(index),
            marker=markers[index % len(markers)],
            linewidths=0,
            label=shorten(system),
        )
    axes.set_ylim(-3, _MAX_RATE + 3)
    label_axes(axes, title="Errors against similarity", x="SIM-o (cosine)", y="WER of the utterance (%)")
    legend_below(figure, axes)
    return save_figure(figure, path)
