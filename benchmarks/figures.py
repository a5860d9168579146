"""The line of a figure that every benchmark prints: name, value, bound. `table.py` collects them."""

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"(?P<name>\S.*?)\s{2,}(?P<value>[\d,.]+)   (?P<side>at least|at most) (?P<bound>[\d,.]+)(?P<missed>   MISSED)?"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value beside its bound."""

    name: str
    value: float
    bound: float
    at_least: bool

    @property
    def holds(self) -> bool:
        """Return whether the value is within its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def side(self) -> str:
        """Return the words before the bound."""
        return "at least" if self.at_least else "at most"

    def line(self) -> str:
        """Return the line of the benchmark."""
        missed = "" if self.holds else "   MISSED"
        return f"{self.name:64}  {self.value:10,.2f}   {self.side} {self.bound:,.2f}{missed}"


def report(name: str, value: float, bound: float, *, at_least: bool) -> bool:
    """Print a figure with its bound; return whether it holds."""
    figure = Figure(name, value, bound, at_least)
    print(figure.line(), flush=True)
    return figure.holds


def read_figures(output: str) -> list[Figure]:
    """Return the figures of the output of a benchmark; its other lines are left out."""
    found = filter(None, map(_LINE.fullmatch, output.splitlines()))
    return [
        Figure(one["name"], _number(one["value"]), _number(one["bound"]), one["side"] == "at least") for one in found
    ]


def _number(text: str) -> float:
    return float(text.replace(",", ""))
