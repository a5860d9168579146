"""Plot named queries (warehouse/queries): each function draws the Arrow table of a query into one PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from valle.statistics.style import (
    OTHERS,
    SEQUENTIAL,
    colour,
    label_axes,
    legend_below,
    new_figure,
    save_figure,
    shorten,
)

# More bars leave no room for their labels, and more colours look alike.
_MOST_BARS = 24
_MOST_SERIES = 6
_MOST_BLOCKS = 64


def _text_column(table: pa.Table, name: str) -> list[str]:
    return [str(value) for value in table[name].to_pylist()]


def _float_column(table: pa.Table, name: str) -> np.ndarray:
    return np.array([np.nan if value is None else float(value) for value in table[name].to_pylist()])


def _largest_series(names: Sequence[str], weights: np.ndarray) -> list[str]:
    """Return the names with most weight; when not all fit, the last one is `others`."""
    totals: dict[str, float] = {}
    for name, weight in zip(names, weights, strict=True):
        totals[name] = totals.get(name, 0.0) + float(weight)
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    return ranked if len(ranked) <= _MOST_SERIES else [*ranked[: _MOST_SERIES - 1], "others"]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def plot_bars(table: pa.Table, path: Path, *, labels: Sequence[str], values: str, title: str, x: str) -> Path:
    """Plot horizontal bars of the column `values`, longest first; the columns `labels` label each bar.

    Rows that do not fit are summed in a last, grey bar.
    """
    names = [" · ".join(parts) for parts in zip(*(_text_column(table, label) for label in labels), strict=True)]
    lengths = _float_column(table, values)
    order = np.argsort(-lengths, kind="stable")
    shown = order[:_MOST_BARS]
    bars = [(shorten(names[i], 40), lengths[i]) for i in shown]
    rest = order[_MOST_BARS:]
    if len(rest) > 0:
        bars.append((f"{len(rest)} others", float(lengths[rest].sum())))
    figure = new_figure(height=1.3 + 0.3 * len(bars))
    axes = figure.subplots()
    colours = [colour(0)] * len(shown) + [OTHERS] * (len(bars) - len(shown))
    drawn = axes.barh(range(len(bars)), [length for _, length in bars], color=colours, height=0.7)
    axes.bar_label(drawn, [_number(length) for _, length in bars], padding=3, fontsize=10)
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.margins(x=0.12)
    label_axes(axes, title=title, x=x, y="")
    axes.grid(axis="y", visible=False)
    return save_figure(figure, path)


def plot_durations(table: pa.Table, path: Path) -> Path:
    """Plot the histogram of `durations`, stacked by corpus."""
    corpora, starts = _text_column(table, "corpus"), _float_column(table, "bin_start")
    counts = _float_column(table, "utterances")
    widths = _float_column(table, "bin_end") - starts
    series = _largest_series(corpora, counts)
    figure = new_figure()
    axes = figure.subplots()
    bottoms: dict[float, float] = {}
    for index, name in enumerate(series):
        rows = [i for i, corpus in enumerate(corpora) if (corpus if corpus in series else "others") == name]
        heights: dict[float, float] = {}
        for i in rows:
            heights[starts[i]] = heights.get(starts[i], 0.0) + counts[i]
        bin_starts = sorted(heights)
        axes.bar(
            bin_starts,
            [heights[start] for start in bin_starts],
            bottom=[bottoms.get(start, 0.0) for start in bin_starts],
            width=widths[0] * 0.95,
            align="edge",
            color=OTHERS if name == "others" else colour(index),
            label=shorten(name),
        )
        for start in bin_starts:
            bottoms[start] = bottoms.get(start, 0.0) + heights[start]
    axes.set_xlim(left=0)
    label_axes(axes, title="Duration of utterances", x="duration (s)", y="utterances")
    legend_below(figure, axes)
    return save_figure(figure, path)


def plot_quality(table: pa.Table, path: Path) -> Path:
    """Plot the distributions of `quality_histogram`: DNSMOS and signal-to-noise ratio, where measured."""
    measures, corpora = _text_column(table, "measure"), _text_column(table, "corpus")
    known = (("dnsmos_ovrl", "DNSMOS overall (1 to 5)"), ("snr", "signal-to-noise ratio (dB)"))
    panels = [(measure, label) for measure, label in known if measure in measures]
    starts, ends = _float_column(table, "bin_start"), _float_column(table, "bin_end")
    counts = _float_column(table, "segments")
    series = _largest_series(corpora, counts)
    figure = new_figure()
    for axes, (measure, label) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for index, name in enumerate(series):
            bins: dict[float, float] = {}
            width = 0.0
            for i, corpus in enumerate(corpora):
                if measures[i] == measure and (corpus if corpus in series else "others") == name:
                    bins[starts[i]] = bins.get(starts[i], 0.0) + counts[i]
                    width = ends[i] - starts[i]
            if not bins:
                continue
            edges = np.arange(min(bins), max(bins) + 1.5 * width, width)
            nearest = {round(edge / width): height for edge, height in bins.items()}
            heights = [nearest.get(round(edge / width), 0.0) / sum(bins.values()) for edge in edges[:-1]]
            shade = OTHERS if name == "others" else colour(index)
            axes.stairs(heights, edges, color=shade, linewidth=1.8, label=shorten(name))
        label_axes(axes, title=label.split(" (")[0], x=label, y="share of segments")
    legend_below(figure, max(figure.axes, key=lambda axes: len(axes.patches)))
    return save_figure(figure, path)


def plot_quantiles(table: pa.Table, path: Path, *, labels: Sequence[str], title: str, x: str) -> Path:
    """Plot one line per row: 5 to 95 % thin, 25 to 75 % thick, the median as a dot.

    The columns are q05, q25, median, q75 and q95.
    """
    shown = table.slice(0, _MOST_BARS)
    names = [" · ".join(parts) for parts in zip(*(_text_column(shown, label) for label in labels), strict=True)]
    positions = np.arange(len(names))
    figure = new_figure(height=1.5 + 0.35 * len(names))
    axes = figure.subplots()
    axes.hlines(positions, _float_column(shown, "q05"), _float_column(shown, "q95"), color=colour(0), linewidth=1.5)
    axes.hlines(positions, _float_column(shown, "q25"), _float_column(shown, "q75"), color=colour(0), linewidth=7)
    axes.plot(_float_column(shown, "median"), positions, "o", color="white", markeredgecolor="black", markersize=6)
    axes.set_yticks(positions, [shorten(name, 40) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    label_axes(axes, title=title, x=x, y="")
    return save_figure(figure, path)


def plot_code_usage(usage: pa.Table, counts: pa.Table, path: Path, *, codec: str, codebook_size: int) -> Path:
    """Plot the use of the codebooks of one codec: a heat map of entries, and the entropy of each codebook.

    `usage` and `counts` are the tables of `code_usage` and `code_counts`. The heat map shows the share of each entry
    times `codebook_size`, in blocks of equal width: 1 is uniform use.
    """
    rows = [row for row in usage.to_pylist() if row["codec"] == codec]
    num_codebooks = 1 + max(row["codebook"] for row in rows)
    frequencies = np.zeros((num_codebooks, codebook_size))
    for row in counts.to_pylist():
        if row["codec"] == codec:
            frequencies[row["codebook"], row["code"]] = row["frames"]
    shares = frequencies / np.maximum(frequencies.sum(axis=1, keepdims=True), 1)
    starts = np.unique(np.linspace(0, codebook_size, _MOST_BLOCKS, endpoint=False).astype(int))
    widths = np.diff(np.append(starts, codebook_size))
    blocks = np.add.reduceat(shares * codebook_size, starts, axis=1) / widths
    figure = new_figure(height=1.8 + 0.35 * num_codebooks)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2], sharey=True)
    image = left.imshow(
        blocks,
        aspect="auto",
        cmap=SEQUENTIAL,
        vmin=0,
        vmax=max(2.0, float(np.quantile(blocks, 0.98))),
        extent=(0, codebook_size, num_codebooks - 0.5, -0.5),
        interpolation="nearest",
    )
    figure.colorbar(image, ax=left, location="left", label="use (1 = uniform)", extend="max")
    label_axes(left, title=f"Use of the entries of {shorten(codec)}", x="entry", y="codebook")
    left.grid(visible=False)
    left.set_yticks(range(num_codebooks))
    full = float(np.log2(codebook_size))
    codebooks = [row["codebook"] for row in rows]
    right.barh(codebooks, [row["entropy_bits"] for row in rows], color=colour(0), height=0.65)
    for row in rows:
        is_long = row["entropy_bits"] > 0.7 * full
        right.text(
            0.25 if is_long else row["entropy_bits"] + 0.02 * full,
            row["codebook"],
            f"{row['entropy_bits']:.2f} bits, {row['entries_used']} used",
            va="center",
            fontsize=9,
            color="white" if is_long else "black",
        )
    right.axvline(full, color=colour(5), linestyle="--")
    label_axes(right, title=f"Entropy (at most {full:.0f} bits)", x="entropy (bits)", y="")
    right.set_xlim(0, full * 1.05)
    right.grid(axis="y", visible=False)
    return save_figure(figure, path)
