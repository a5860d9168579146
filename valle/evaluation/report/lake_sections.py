"""Write the sections of a report that need the lake: leaderboard and contamination."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from valle.evaluation.items.contamination import OVERLAPS, SAME_SPEAKER, Contamination, find_contamination
from valle.evaluation.report.sections import Cell, Section
from warehouse.catalogue.views import connect, named_query, run_query
from warehouse.lake.tables import Lake
from warehouse.model_rows import ScoreRow

_TABLES = ("scores", "checkpoints", "training_items", "evaluation_items")

_MAX_PAIRS = 5

_LEADERBOARD_HEADER = (
    "place", "system", "run", "step", "WER % micro", "SIM-o", "SIM-o / ground truth", "missing", "items", "evaluation",
)  # fmt: skip


def lake_key(lake: Lake) -> str:
    """Return a key that changes whenever the sections may: the versions of the tables they read."""
    versions = lake.snapshot().versions
    return ",".join(f"{table}={versions.get(table)}" for table in _TABLES)


def lake_sections(scores: Sequence[ScoreRow], lake: Lake) -> tuple[Section, ...]:
    """Return leaderboard and contamination of one evaluation, whose `scores` are stored."""
    with connect(lake.snapshot()) as connection:
        return (leaderboard_section(scores, connection), contamination_section(scores, connection))


def leaderboard_section(scores: Sequence[ScoreRow], connection: duckdb.DuckDBPyConnection) -> Section:
    """Rank all systems scored under the protocol, list, normaliser and metric models of `scores`."""
    rows = run_query(connection, named_query("leaderboard").sql).to_pylist()
    evaluation, normaliser = scores[0].evaluation, scores[0].normaliser
    # Scores of other lists or metric models are not comparable.
    terms = {_terms(row) for row in rows if evaluation in row["evaluations"] and row["normaliser"] == normaliser}
    table: list[tuple[Cell, ...]] = [
        (
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
        )
        for row in rows
        if _terms(row) in terms
    ]
    return Section(
        heading="Leaderboard",
        intro="The best evaluation of every system on the same list, under the same protocol, metric models and "
        f"normaliser (`{normaliser}`).",
        header=_LEADERBOARD_HEADER,
        rows=tuple(table),
        numeric=(True, False, False, True, True, True, True, True, True, False),
        note="All lists: `valle sql --query leaderboard`. Neighbours may tie: `valle evaluate compare A B`.",
    )


def _terms(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("protocol", "items_hash", "normaliser", "asr_model", "speaker_model"))


def contamination_section(scores: Sequence[ScoreRow], connection: duckdb.DuckDBPyConnection) -> Section:
    """Report the overlap with training data of each checkpoint in stored `scores` of one evaluation."""
    checked = find_contamination(scores[0].evaluation, connection)
    if not checked:
        return Section(
            heading="Contamination",
            intro="Unknown: none of the systems is a checkpoint of this lake, and the training data of the others is "
            "not available.",
        )
    rows: list[tuple[Cell, ...]] = [
        (meaning, *(f"{system.counts[name]} of {system.num_items}" for system in checked))
        for name, meaning in OVERLAPS.items()
    ]
    rows.append(
        (
            f"speakers in the training data under any label (cosine from {SAME_SPEAKER})",
            *(
                f"{len(system.same_speakers)} of {len(system.matches)}" if system.matches else "not measured"
                for system in checked
            ),
        )
    )
    return Section(
        heading="Contamination",
        intro=" ".join(_verdict(system) for system in checked),
        header=("items of which", *(f"`{system.system}`" for system in checked)),
        rows=tuple(rows),
        numeric=(False, *(True for _ in checked)),
        note=" ".join(_closest(system) for system in checked if system.matches),
    )


def _verdict(checked: Contamination) -> str:
    if checked.has_trained_audio:
        return f"`{checked.system}` was trained on audio of this evaluation: its scores are not of unseen speech."
    if checked.counts["items_with_trained_speaker"] or checked.same_speakers:
        return f"`{checked.system}` was trained on speakers of this evaluation: its similarity is not zero-shot."
    if any(checked.counts.values()):
        return f"`{checked.system}` was trained on none of the audio or speakers, but on some of the texts or books."
    return f"`{checked.system}` was trained on nothing of this evaluation."


def _closest(checked: Contamination) -> str:
    pairs = ", ".join(
        f"`{match.speaker}` and `{match.trained_speaker}` ({match.cosine:.2f})"
        for match in checked.matches[:_MAX_PAIRS]
    )
    return f"Most similar speakers of evaluation and training of `{checked.system}`: {pairs}."
