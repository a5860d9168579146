"""Define the style of every plot: 800 pixels wide, colours for colour-blind readers, labelled axes."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from warehouse.files import atomic_write

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
"""The palette of Okabe and Ito (2008), without its yellow, which is too pale for lines on white."""

OTHERS = "#999999"
"""The grey of everything beyond the palette."""

SEQUENTIAL = "viridis"
"""The colour map of heat maps: uniform in lightness, so that it is legible in grey print."""

_DPI = 100
_WIDTH = 8.0


def colour(index: int) -> str:
    """Return the colour of a series; the palette repeats after seven."""
    return COLOURS[index % len(COLOURS)]


def new_figure(*, height: float = 4.0) -> Figure:
    """Return an empty figure, 800 pixels wide and `height` hundred pixels high, outside the global state of pyplot."""
    return Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")


def label_axes(axes: Axes, *, title: str, x: str, y: str) -> None:
    """Set title, axis labels with units, and a light frame and grid."""
    axes.set_title(title, fontsize=12, loc="left")
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.tick_params(labelsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)


def legend_below(figure: Figure, axes: Axes) -> None:
    """Draw the legend of `axes` below the figure, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    # A line of the figure holds about 95 characters, of which the marker before each label needs seven.
    columns = max(1, min(len(labels), 95 // (max(map(len, labels), default=0) + 7)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=10, frameon=False)


def shorten(text: str, length: int = 28) -> str:
    """Shorten a label to `length` characters by omitting its middle."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[-(length - 1 - head) :]}"


def save_figure(figure: Figure, path: Path) -> Path:
    """Write the figure as PNG, atomically."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")
    return path
