"""Where the systems of an evaluation stand among all that the lake has seen under the same terms."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from valle.evaluation.report.sections import Cell, Section
from warehouse.catalogue.views import named_query, run_query
from warehouse.rows import ScoreRow

_HEADER = (
    "place", "system", "run", "step", "WER % micro", "SIM-o", "SIM-o / ground truth", "missing", "items", "evaluation",
)  # fmt: skip


def leaderboard_section(scores: Sequence[ScoreRow], connection: duckdb.DuckDBPyConnection) -> Section:
    """The kept query `leaderboard`, narrowed to the protocol, list, normaliser and judges of stored `scores`."""
    rows = run_query(connection, named_query("leaderboard").sql).to_pylist()
    evaluation, normaliser = scores[0].evaluation, scores[0].normaliser
    terms = {_terms(row) for row in rows if evaluation in row["evaluations"] and row["normaliser"] == normaliser}
    ranked = [row for row in rows if _terms(row) in terms]
    table: list[list[Cell]] = [
        [
            row["place"],
            f"`{row['system']}`",
            row["run_id"],
            row["step"],
            f"{row['wer_micro']:.2f}",
            None if row["sim_o"] is None else f"{row['sim_o']:.3f}",
            None if row["sim_o_of_ground_truth"] is None else f"{row['sim_o_of_ground_truth']:.3f}",
            row["missing"],
            row["items"],
            f"`{row['evaluation']}`",
        ]
        for row in ranked
    ]
    return Section(
        heading="Leaderboard",
        intro="The best evaluation of every system on the same list, under the same protocol, normaliser and judges.",
        header=_HEADER,
        rows=tuple(tuple(row) for row in table),
        numeric=(True, False, False, True, True, True, True, True, True, False),
        note="All others: `valle sql --query leaderboard`. A place may be a tie: `valle evaluate compare A B`.",
    )


def _terms(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("protocol", "items_hash", "normaliser", "asr_model", "speaker_model"))
