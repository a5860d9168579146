"""Plots of a codec report: quality by bit rate, use of the codebooks, latency and speed."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from valle.evaluation.codec.measure import CodecMeasurement
from valle.evaluation.codec.scores import ResynthesisScores
from valle.reporting import Plot
from valle.statistics.style import colour, label_axes, legend_below, new_figure, save_figure

Value = Callable[[ResynthesisScores], float | None]
_PANELS: tuple[tuple[str, str, Value], ...] = (
    ("Words lost", "WER above recordings (%)", lambda s: 100 * s.added_wer.difference if s.added_wer else None),
    ("Speaker similarity", "cosine to the recording", lambda s: s.cosine.value if s.cosine else None),
    ("Naturalness", "DistillMOS", lambda s: s.distillmos.value if s.distillmos else None),
    ("Intelligibility", "STOI", lambda s: s.stoi.value if s.stoi else None),
    ("Spectrum", "log-mel distance", lambda s: s.log_mel_distance.value if s.log_mel_distance else None),
)


def plot_quality(scores: Sequence[Sequence[ResynthesisScores]], path: Path) -> Plot:
    """Plot each measure by bit rate, a line per codec; the recordings come first in the scores of each codec."""
    # A measure that was not asked for has no panel.
    panels = [panel for panel in _PANELS if any(panel[2](line) is not None for _, *coded in scores for line in coded)]
    figure = new_figure(height=6.4)
    num_columns = math.ceil(len(panels) / 2)
    axes_of_panels = list(figure.subplots(2, num_columns, squeeze=False).flat)
    for axes, (title, unit, value_of) in zip(axes_of_panels, panels, strict=False):
        for index, (_, *coded) in enumerate(scores):
            points = [((line.bits_per_second or 0) / 1000, value_of(line)) for line in coded]
            shown = [(rate, value) for rate, value in points if value is not None]
            name = coded[0].system.rpartition("_")[0].removeprefix("codec_")
            axes.plot([x for x, _ in shown], [y for _, y in shown], "o-", color=colour(index), label=name)
        if title == "Naturalness" and scores[0][0].distillmos:
            axes.axhline(scores[0][0].distillmos.value, color="black", linestyle="--", linewidth=1)
        label_axes(axes, title=title, x="kbit/s", y=unit)
    for spare in axes_of_panels[len(panels) :]:
        spare.set_visible(False)
    legend_below(figure, axes_of_panels[0])
    caption = "Quality by bit rate: more codebooks, more bits."
    if any(title == "Naturalness" for title, *_ in panels):
        caption += " The dashed line is the naturalness of the recordings."
    return Plot(save_figure(figure, path), caption)


def plot_use(measurements: Sequence[CodecMeasurement], path: Path) -> Plot:
    """Plot the entropy of each codebook relative to a uniform use of its entries, which compares all sizes."""
    figure = new_figure(height=3.6)
    axes = figure.subplots()
    width = 0.8 / len(measurements)
    for index, measurement in enumerate(measurements):
        positions = np.arange(len(measurement.uses)) + (index - (len(measurements) - 1) / 2) * width
        uniform = np.log2(measurement.spec.codebook_size)
        shares = [100 * use.entropy / uniform for use in measurement.uses]
        axes.bar(positions, shares, width, color=colour(index), label=measurement.spec.name)
    axes.axhline(100, color="black", linestyle="--", linewidth=1)
    label_axes(axes, title="Use of the codebooks", x="codebook", y="entropy (% of uniform)")
    legend_below(figure, axes)
    return Plot(save_figure(figure, path), "Entropy of the codes by codebook; the dashed line is uniform use.")


def plot_cost(measurements: Sequence[CodecMeasurement], path: Path) -> Plot:
    """Plot look-ahead and speed, a bar per codec."""
    figure = new_figure(height=1.6 + 0.4 * len(measurements))
    left, right = figure.subplots(1, 2, sharey=True)
    names = [measurement.spec.name for measurement in measurements]
    rows = np.arange(len(names))
    left.barh(rows, [1000 * measurement.look_ahead for measurement in measurements], color=colour(0))
    for offset, part in ((-0.2, "encode"), (0.2, "decode")):
        speeds = [getattr(measurement.speed, part) for measurement in measurements]
        right.barh(rows + offset, speeds, 0.4, color=colour(1 if part == "encode" else 2), label=part)
    left.set_yticks(rows, names)
    left.invert_yaxis()
    label_axes(left, title="Look-ahead of a stream", x="ms", y="")
    label_axes(right, title="Speed", x="s of audio / CPU s", y="")
    legend_below(figure, right)
    return Plot(save_figure(figure, path), "Later speech that a stream needs, and speed in processor time.")
