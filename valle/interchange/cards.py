"""Cards of training sets and checkpoints as Markdown with the metadata that the Hugging Face hub reads."""

from collections.abc import Mapping
from typing import Any

import yaml

from valle.data.selection.training_set import SPLITS, TrainingSet, TrainingSetCard


def training_set_card(training_set: TrainingSet) -> str:
    """Return the dataset card of a training set: its splits, hours, licences and codec."""
    card = training_set.card
    languages = sorted(training_set.items["language"].unique().to_pylist())
    present = training_set.items["split"].unique().to_pylist()
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
