"""An evaluation from end to end: choose items, speak them, hear them through the lake, score, report.

The speech is a corpus of its own: it is ingested, segmented, transcribed and embedded by the same stages as any
other, and the scores are made from those rows. What evaluates a model is therefore what prepared its data.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from valle.data.training_set import load_training_set
from valle.evaluation.controls import GROUND_TRUTH, PROMPT_COPIED, SHUFFLED_SPEAKER
from valle.evaluation.items import EvaluationItem, choose_items
from valle.evaluation.report import write_report
from valle.evaluation.score import Embedding, Output, ScoringRun, score
from valle.evaluation.speech import Spoken
from valle.place import Place
from valle.statistics.report import Report
from valle.synthesis.options import SamplingOptions
from valle.training.checkpoint import CheckpointCard
from warehouse.arrow import from_table
from warehouse.catalogue import connect, run_query
from warehouse.errors import CommitConflict, TrainingError
from warehouse.fingerprints import short_hash
from warehouse.lake import Lake
from warehouse.rows import ScoreRow

_HEARD = """
SELECT r.path, s.duration, t.asr_text, t.model AS asr_model, v.embedding, v.model AS speaker_model
FROM recordings r
-- Equal bytes are heard once: an utterance may also be the prompt of another.
JOIN current_recordings k ON k.corpus = r.corpus AND k.content_hash = r.content_hash AND k.drop_reason IS NULL
JOIN current_segments s ON s.recording_id = k.recording_id
LEFT JOIN current_transcripts t ON t.segment_id = s.segment_id
LEFT JOIN current_speakers v ON v.segment_id = s.segment_id
WHERE r.corpus = ?
QUALIFY row_number() OVER (PARTITION BY r.path ORDER BY r.ingested_at DESC) = 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """What is to be spoken: `name` identifies the checkpoint, the items and the sampling."""

    name: str
    checkpoint: Path
    items: tuple[EvaluationItem, ...]
    sampling: SamplingOptions


def plan_evaluation(
    place: Place,
    checkpoint: Path,
    card: CheckpointCard,
    *,
    where: str,
    count: int,
    trials: int,
    seed: int,
    sampling: SamplingOptions,
) -> EvaluationPlan:
    """Choose `count` utterances of the training set that satisfy `where` (SQL on its items, joined with utterances).

    Raises TrainingError when there is none.
    """
    name = card.training_set.rpartition("-")[0]
    training_set = load_training_set(place.training_sets / name)
    with connect(place.lake.snapshot()) as connection:
        connection.register("items", training_set.items)
        rows = run_query(
            connection,
            f"SELECT u.* FROM utterances u SEMI JOIN (SELECT * FROM items WHERE {where}) i "
            "ON i.segment_id = u.segment_id ORDER BY u.segment_id",
        )
    if rows.num_rows == 0:
        splits = ", ".join(f"{count} in {split}" for split, count in training_set.card.utterances.items())
        raise TrainingError(f"No utterance of {training_set.card.id} satisfies {where!r}; it has {splits}.")
    items = choose_items(rows, count=min(count, rows.num_rows), seed=seed, trials=trials)
    content = json.dumps([[dataclasses.asdict(item) for item in items], sampling.model_dump()], sort_keys=True)
    return EvaluationPlan(
        name=f"evaluation-{card.checkpoint_id}-{short_hash(content)[:8]}".lower().replace("_", "-").replace(".", "-"),
        checkpoint=checkpoint,
        items=tuple(items),
        sampling=sampling,
    )


def score_evaluation(plan: EvaluationPlan, files: Sequence[Spoken], card: CheckpointCard, lake: Lake) -> list[ScoreRow]:
    """Make the scores of a plan from what the road heard of `files`, and commit them, once."""
    heard = _heard(plan.name, lake)
    outputs = {name: _outputs(name, files, heard) for name in sorted({file.system for file in files})}
    voices = _prompt_voices(plan.items, outputs[PROMPT_COPIED])
    models = {key: next(row[key] for row in heard.values() if row[key]) for key in ("asr_model", "speaker_model")}
    now = datetime.now(UTC)
    rows: list[ScoreRow] = []
    for system, made in {**outputs, SHUFFLED_SPEAKER: outputs[GROUND_TRUTH]}.items():
        items = _shuffled(plan.items) if system == SHUFFLED_SPEAKER else plan.items
        if not items:
            continue
        run = ScoringRun(
            evaluation=plan.name,
            system=system,
            checkpoint_id=card.checkpoint_id if system == card.checkpoint_id else None,
            asr_model=models["asr_model"],
            speaker_model=models["speaker_model"],
            scored_at=now,
        )
        rows += score(items, made, prompt_voices=voices, run=run)
    try:
        lake.append(ScoreRow, rows, f"scores:{plan.name}")
    except CommitConflict:
        return stored_scores(plan.name, lake)
    return rows


def stored_scores(evaluation: str, lake: Lake) -> list[ScoreRow]:
    """The scores of an evaluation that was made before; empty when there are none."""
    with connect(lake.snapshot()) as connection:
        table = run_query(connection, "SELECT * FROM scores WHERE evaluation = ? ORDER BY score_id", [evaluation])
    return list(from_table(ScoreRow, table))


def report_evaluation(plan: EvaluationPlan, rows: Sequence[ScoreRow], card: CheckpointCard, place: Place) -> Report:
    """Write the Markdown report and plots of an evaluation."""
    return write_report(
        rows,
        place.reports / plan.name,
        title=f"Evaluation of {card.checkpoint_id}",
        provenance={
            "evaluation": plan.name,
            "checkpoint": str(plan.checkpoint),
            "training set": card.training_set,
            "codec": f"{card.codec.name}@{card.codec.revision}",
            "sampling": plan.sampling.model_dump_json(),
            "items": f"{len(plan.items)}, {short_hash(','.join(item.utterance for item in plan.items))[:12]}",
        },
    )


def _heard(corpus: str, lake: Lake) -> dict[str, dict[str, Any]]:
    with connect(lake.snapshot()) as connection:
        table: pa.Table = run_query(connection, _HEARD, [corpus])
    return {row["path"]: row for row in table.to_pylist()}


def _outputs(system: str, files: Sequence[Spoken], heard: Mapping[str, dict[str, Any]]) -> list[Output]:
    outputs = []
    for file in files:
        row = heard.get(str(file.path))
        if file.system != system or row is None:
            continue  # What the road dropped (silence, say) is missing, and scored as such.
        embedding = row["embedding"]
        outputs.append(
            Output(
                utterance=file.utterance,
                trial=file.trial,
                path=str(file.path),
                duration=row["duration"],
                heard=row["asr_text"] or "",
                embedding=None if embedding is None else np.asarray(embedding, dtype=np.float32),
            )
        )
    return outputs


def _prompt_voices(items: Sequence[EvaluationItem], copied: Sequence[Output]) -> dict[str, Embedding]:
    """The voice of each prompt, from the copies of the prompts."""
    prompt_of = {(item.utterance, item.trial): item.prompt for item in items}
    return {
        prompt_of[output.utterance, output.trial]: output.embedding for output in copied if output.embedding is not None
    }


def _shuffled(items: Sequence[EvaluationItem]) -> list[EvaluationItem]:
    """Every item with the prompt of another speaker; without another speaker the item is left out."""
    shuffled = []
    for index, item in enumerate(items):
        others = [other for other in (*items[index + 1 :], *items[:index]) if other.speaker != item.speaker]
        if others:
            shuffled.append(dataclasses.replace(item, prompt=others[0].prompt))
    return shuffled
