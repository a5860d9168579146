"""The sections of a report that only the lake can write: how the systems stand among others, what they had heard."""

from collections.abc import Sequence

from valle.evaluation.items.contamination import contamination_section
from valle.evaluation.report.leaderboard import leaderboard_section
from valle.evaluation.report.sections import Section
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake
from warehouse.rows import ScoreRow

_TABLES = ("scores", "checkpoints", "training_items", "evaluation_items")


def lake_key(lake: Lake) -> str:
    """Changes whenever the sections may: the versions of the tables that they count."""
    versions = lake.snapshot().versions
    return ",".join(f"{table}={versions.get(table)}" for table in _TABLES)


def lake_sections(scores: Sequence[ScoreRow], lake: Lake) -> tuple[Section, ...]:
    """Leaderboard and contamination of one evaluation, whose `scores` are stored."""
    with connect(lake.snapshot()) as connection:
        return (leaderboard_section(scores, connection), contamination_section(scores, connection))
