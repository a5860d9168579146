"""Choose the checkpoint that speaks when none is named: the embedded one, unless a run has a better measured score."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valle.checkpoints.runs import EMBEDDED, latest_checkpoint, newest_checkpoint, read_summary
from valle.data_root import DataRoot, open_data_root
from warehouse.catalogue.views import connect, named_query, run_query
from warehouse.errors import PipelineError

# What must be equal for two word error rates to be compared.
_TERMS = ("protocol", "items_hash", "normaliser", "asr_model", "speaker_model")


@dataclass(frozen=True, slots=True)
class DefaultCheckpoint:
    """A checkpoint and one sentence with the reason of the choice."""

    directory: Path
    reason: str


def choose_checkpoint(data_root: DataRoot) -> DefaultCheckpoint:
    """Choose between the embedded checkpoint and the newest checkpoint of each run of the data root.

    A run is chosen if its word error rate is lower than that of the embedded checkpoint on the same items, by the same
    models; where several lists of items allow the comparison, the one with the most scores decides.
    """
    embedded = newest_checkpoint(data_root.runs, EMBEDDED)
    embedded_id = read_summary(embedded).checkpoint_id
    # The lake takes half a second to open, which is for nothing while there is no run.
    runs = _runs(data_root.runs)
    if not runs:
        return DefaultCheckpoint(embedded, f"{embedded_id} speaks: it is part of the package.")
    scores = _comparable_scores(data_root, embedded_id, runs)
    if scores:
        best = min(scores, key=lambda score: float(score["wer_micro"]))
        baseline = next(score for score in scores if score["system"] == embedded_id)
        if best["wer_micro"] < baseline["wer_micro"]:
            reason = (
                f"{best['system']} speaks: its WER is {best['wer_micro']:.1f} %, that of the embedded {embedded_id} "
                f"{baseline['wer_micro']:.1f} % on the same {baseline['items']} sentences."
            )
            return DefaultCheckpoint(runs[best["system"]], reason)
    names = ", ".join(sorted(directory.parent.parent.name for directory in runs.values()))
    reason = (
        f"{embedded_id}, which is part of the package, speaks: no run has a better score on the same sentences; "
        f"--run chooses one of {names}."
    )
    return DefaultCheckpoint(embedded, reason)


def find_checkpoint(*, data: Path | None, run: str | None, checkpoint: Path | None) -> tuple[Path, str | None]:
    """Return the directory of a given checkpoint, or of a run, or of the default with the reason of the choice.

    Raises CheckpointError when a run has none.
    """
    if checkpoint is not None:
        return checkpoint, None
    data_root = open_data_root(data)
    if run is not None:
        return newest_checkpoint(data_root.runs, run), None
    default = choose_checkpoint(data_root)
    return default.directory, default.reason


def _runs(folder: Path) -> dict[str, Path]:
    """Return the newest checkpoint of each run by its id; a run whose card cannot be read is left out."""
    found: dict[str, Path] = {}
    for run in sorted(folder.glob("*")):
        checkpoint = latest_checkpoint(run)
        if checkpoint is None or run.name == EMBEDDED:
            continue
        try:
            found[read_summary(checkpoint).checkpoint_id] = checkpoint
        except PipelineError:
            continue
    return found


def _comparable_scores(data_root: DataRoot, embedded_id: str, runs: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Return the scores of the embedded checkpoint and of runs under the terms with the most scores, or none."""
    try:
        with connect(data_root.lake.snapshot(), tables_only=True) as connection:
            rows = run_query(connection, named_query("leaderboard").sql).to_pylist()
    except PipelineError:  # a lake that cannot be read is no reason not to speak
        return []
    by_terms: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["system"] == embedded_id or row["system"] in runs:
            by_terms.setdefault(tuple(row[term] for term in _TERMS), []).append(row)
    comparable = [group for group in by_terms.values() if len({row["system"] for row in group} - {embedded_id}) > 0]
    comparable = [group for group in comparable if any(row["system"] == embedded_id for row in group)]
    return max(comparable, key=lambda group: sum(row["scores"] for row in group), default=[])
