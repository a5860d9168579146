"""Score the tasks of a checkpoint on held-out utterances, and keep every value in the lake."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from valle.evaluation.stats.bootstrap import estimate_mean
from valle.evaluation.tasks.cases import TaskCase, read_cases
from valle.evaluation.tasks.measures import TaskMeasures
from valle.evaluation.tasks.runs import CHECKPOINT, CONTROLS, TaskRunner
from valle.synthesis.options import MixtureText, SamplingOptions
from valle.tasks.registry import learnt_tasks
from warehouse.errors import CheckpointError, CommitConflict, ConfigurationError
from warehouse.fingerprints import short_hash
from warehouse.model_rows import TaskScoreRow

if TYPE_CHECKING:
    from valle.data.selection.training_set import TrainingSet
    from valle.synthesis.synthesizer import Synthesizer
    from warehouse.lake.tables import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvaluation:
    """The split, the utterances and the tasks to score; no tasks are all that the checkpoint has learnt."""

    split: str = "test"
    count: int = 100
    tasks: tuple[str, ...] = ()
    asr: str = "tiny.en"
    speaker_encoder: str = "resemblyzer"
    text: MixtureText = "transcribed"
    """Text that the tasks on a mixture are given: a transcription of it, that of the utterance, or none."""


def evaluate_tasks(
    synthesizer: Synthesizer,
    training_set: TrainingSet,
    options: TaskEvaluation,
    sampling: SamplingOptions,
    lake: Lake,
) -> list[TaskScoreRow]:
    """Score the tasks and commit the rows; the same evaluation is committed once.

    What `sampling` leaves open is as the commands of each task complete it.

    Raises CheckpointError for a task that the checkpoint has not learnt or that has no score, and ConfigurationError
    where no utterance of the split has what the tasks need, or another codec made the codes.
    """
    if training_set.card.codec != synthesizer.card.codec:
        raise ConfigurationError(
            f"{training_set.card.id} has codes of {training_set.card.codec.label}, the checkpoint was trained on "
            f"{synthesizer.card.codec.label}."
        )
    backends, rate = synthesizer.backends, synthesizer.codec.spec.sample_rate
    measures = TaskMeasures(backends, rate, asr=options.asr, speaker_encoder=options.speaker_encoder)
    runner = TaskRunner(synthesizer, measures, sampling, text=options.text)
    names = _chosen(synthesizer, runner, options.tasks)
    described = (synthesizer.card.checkpoint_id, training_set.card.id, options, names, sampling.model_dump_json())
    evaluation = short_hash(repr(described))
    rows = [
        row
        for case in read_cases(training_set, split=options.split, count=options.count)
        for name in names
        for row in _score(runner, name, case, evaluation, synthesizer.card.checkpoint_id, training_set.card.id)
    ]
    if not rows:
        raise ConfigurationError(
            f"No utterance of {options.split} of {training_set.card.id} has what {', '.join(names)} need: word times "
            "(`valle data align`) or mixtures (`valle data mix`)."
        )
    with contextlib.suppress(CommitConflict):  # The same scores are in the lake.
        lake.append(TaskScoreRow, rows, f"task_scores:{evaluation}")
    return rows


def _chosen(synthesizer: Synthesizer, runner: TaskRunner, wanted: Sequence[str]) -> list[str]:
    learnt = [name for name in runner.runs if name in learnt_tasks(synthesizer.card.options)]
    if missing := [name for name in wanted if name not in learnt]:
        raise CheckpointError(
            f"{synthesizer.card.checkpoint_id} has no score in {', '.join(missing)}; it has learnt "
            f"{', '.join(learnt) or 'none of the tasks with scores'}."
        )
    return list(wanted) or learnt


def _score(
    runner: TaskRunner, name: str, case: TaskCase, evaluation: str, checkpoint: str, training_set: str
) -> Iterator[TaskScoreRow]:
    values = runner.runs[name](case) or {}
    for (system, metric), value in values.items():
        if value is not None:
            yield TaskScoreRow(
                score_id=f"{evaluation}/{name}/{system}/{case.utterance}/{metric}",
                evaluation=evaluation,
                task=name,
                system=system,
                checkpoint_id=checkpoint,
                training_set=training_set,
                utterance=case.utterance,
                speaker=case.speaker,
                metric=metric,
                value=value,
                scored_at=datetime.now(UTC),
            )


def summarize(rows: Sequence[TaskScoreRow]) -> pa.Table:
    """Return a row for each task, metric and system: mean, interval over speakers and number of utterances.

    Where there is a control, the system `checkpoint - NAME` is the difference to it, utterance by utterance: its
    interval shows a gain that those of both systems, which contain how hard the utterances are, may not.
    """
    groups: dict[tuple[str, str, str], list[TaskScoreRow]] = {}
    for row in rows:
        groups.setdefault((row.task, row.metric, row.system), []).append(row)
    lines = []
    for (task, metric, system), members in groups.items():
        lines.append(_line(task, metric, system, [(row.value, row.speaker) for row in members]))
        if system in CONTROLS:
            found = {row.utterance: row.value for row in groups.get((task, metric, CHECKPOINT), ())}
            pairs = [(found[row.utterance] - row.value, row.speaker) for row in members if row.utterance in found]
            if pairs:
                lines.append(_line(task, metric, f"{CHECKPOINT} - {system}", pairs))
    return pa.Table.from_pylist(lines)


def _line(task: str, metric: str, system: str, values: Sequence[tuple[float, str]]) -> dict[str, object]:
    found = estimate_mean([value for value, _ in values], clusters=[speaker for _, speaker in values])
    return {
        "task": task,
        "metric": metric,
        "system": system,
        "mean": round(found.value, 4),
        "low": None if found.low is None else round(found.low, 4),
        "high": None if found.high is None else round(found.high, 4),
        "utterances": len(values),
    }
