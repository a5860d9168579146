"""Hold everything that a report shows, independent of its form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from valle.evaluation.report.sections import Section
from valle.evaluation.stats.aggregate import SystemScores
from valle.evaluation.stats.bootstrap import Estimate
from valle.reporting import Plot
from warehouse.model_rows import ScoreRow


@dataclass(frozen=True, slots=True)
class SystemLine:
    """A line of the table of systems: scores, and measures by name (`stats/measures.py`)."""

    scores: SystemScores
    measures: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """The content of a report, from which Markdown and HTML are rendered.

    `systems` and `scores` may have several normalisers, of which `normaliser` (a label) is shown first. Both are in
    the order of the tables. `explanations` follow the table of systems, then `sections`. `key` identifies the content,
    so that an unchanged report is not written again.
    """

    title: str
    method: str
    systems: Sequence[SystemLine]
    scores: Sequence[ScoreRow]
    normaliser: str
    explanations: Sequence[str] = ()
    sections: Sequence[Section] = ()
    plots: Sequence[Plot] = ()
    provenance: Mapping[str, str]
    key: str = ""
