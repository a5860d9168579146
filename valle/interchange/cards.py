"""Cards of training sets and checkpoints as Markdown with the metadata that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from valle.data.selection.splits import SPLITS
from valle.data.selection.training_set import TrainingSet, TrainingSetCard

if TYPE_CHECKING:
    from valle.checkpoints.checkpoint import CheckpointCard
    from valle.evaluation.stats.aggregate import SystemScores
    from valle.evaluation.stats.bootstrap import Estimate


def training_set_card(training_set: TrainingSet) -> str:
    """Return the dataset card of a training set: its splits, hours, licences and codec."""
    card = training_set.card
    tables = training_set.tables(columns=("language",))
    languages = sorted({language for table in tables for language in table["language"].unique().to_pylist()})
    present = [split for split, count in card.utterances.items() if count]
    files = [{"split": split, "path": f"data/{split}.parquet"} for split in SPLITS if split in present]
    header = {
        "pretty_name": card.name,
        "license": "other",
        "language": languages,
        "task_categories": ["text-to-speech"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    return f"{front_matter(header)}\n# {card.name}\n\n{describe_set(card)}"


def describe_set(card: TrainingSetCard) -> str:
    """Return the splits, licences and origin of a training set as Markdown."""
    splits = [f"| {split} | {card.utterances[split]:,} | {card.hours[split]:.2f} |" for split in card.utterances]
    licences = [f"| {licence} | {hours:.2f} |" for licence, hours in card.licences.items()]
    lines = [
        f"Codes of {card.codec.label} (`codes`, [K, T]), {card.codec.frame_rate:g} frames a second, with text and "
        "phonemes, and no audio.",
        "",
        "| split | utterances | hours |",
        "| --- | ---: | ---: |",
        *splits,
        "",
        "| licence | hours |",
        "| --- | ---: |",
        *licences,
        "",
        f"Selected by `{card.where}` with weights `{card.weight}` on {card.created_at}; id `{card.id}`.",
    ]
    return "\n".join(lines) + "\n"


def front_matter(content: Mapping[str, Any]) -> str:
    """Return the YAML header of a card."""
    return f"---\n{yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)}---\n"


def model_card(card: CheckpointCard, training_set: TrainingSetCard | None, scores: Sequence[SystemScores]) -> str:
    """Return the model card of a checkpoint: use, data with hours and licences, and scores with intervals."""
    model = card.model
    languages = [language for language in model.languages if language.isalpha()]
    header = {
        "library_name": "valle",
        "pipeline_tag": "text-to-speech",
        "license": "other",
        "language": languages,
        "tags": ["text-to-speech", "vall-e", "zero-shot"],
    }
    data = describe_set(training_set) if training_set is not None else f"Training set: {card.training_set}.\n"
    parts = [
        front_matter(header),
        f"# {card.checkpoint_id}",
        f"VALL-E on codes of {card.codec.label}: width {model.width}, {model.depth} layers, {card.step:,} updates in "
        f"{card.seconds / 3600:.1f} hours. The package `valle` speaks with it:",
        f"```sh\nvalle hub pull REPOSITORY --name {card.run_id}\n"
        f'valle speak "A sentence." --run {card.run_id} --prompt speaker.wav\n```',
        "## Data",
        data,
        "## Scores",
        _scores_table(scores) if scores else "Not measured yet: `valle evaluate` measures WER and speaker similarity.",
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _scores_table(scores: Sequence[SystemScores]) -> str:
    lines = [
        "Intervals are of 95 %, by resampling speakers.",
        "",
        "| protocol | sentences | ASR model | WER (%) | SIM-O |",
        "| --- | ---: | --- | ---: | ---: |",
    ]
    lines += [
        f"| {one.protocol} | {one.num_scores} | {one.asr_model} | {_interval(one.wer, 100, 1)} | "
        f"{'' if one.sim_o is None else _interval(one.sim_o, 1, 3)} |"
        for one in scores
    ]
    return "\n".join(lines)


def _interval(estimate: Estimate, factor: float, digits: int) -> str:
    value = f"{factor * estimate.value:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({factor * estimate.low:.{digits}f} to {factor * estimate.high:.{digits}f})"
