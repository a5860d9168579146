"""How every plot looks: 800 pixels wide, colours that colour-blind readers can tell apart, labelled axes."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
"""The palette of Okabe and Ito (2008), without its yellow, which is too pale for lines on white."""

OTHERS = "#999999"
"""The grey of whatever has no colour of its own."""

SEQUENTIAL = "viridis"
"""The colour map of heat maps: even in lightness, so that it survives grey print."""

_DPI = 100
_WIDTH = 8.0


def colour(index: int) -> str:
    """The colour of the series number `index`; it begins again after seven."""
    return COLOURS[index % len(COLOURS)]


def new_figure(*, height: float = 4.0) -> Figure:
    """An empty figure, 800 pixels wide and `height` hundred pixels high. It belongs to no global state."""
    return Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")


def label_axes(axes: Axes, *, title: str, x: str, y: str) -> None:
    """Title, axis labels with their units, and a light frame and grid."""
    axes.set_title(title, fontsize=12, loc="left")
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.tick_params(labelsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)


def legend_below(figure: Figure, axes: Axes) -> None:
    """The legend of `axes` under the whole figure, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    # A line of the figure holds about 95 characters, of which the sign before each label takes seven.
    columns = max(1, min(len(labels), 95 // (max(map(len, labels), default=0) + 7)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=10, frameon=False)


def shorten(text: str, length: int = 28) -> str:
    """A label that fits beside a bar: the middle of a longer one is left out."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[-(length - 1 - head) :]}"


def save_figure(figure: Figure, path: Path) -> Path:
    """Write the figure as PNG, under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    figure.savefig(temporary, format="png")
    temporary.replace(path)
    return path
