"""Read the demo corpus of the project: synthetic clips of 28 voices with their texts."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

HELD_OUT = "heldout"
"""The split whose speakers no model may be trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoClip:
    """One clip: Ogg Opus at 24 kHz, mono; `duration` is in seconds, `kind` is `digits` or `sentence`."""

    id: str
    path: Path
    speaker: str
    split: str
    text: str
    duration: float
    kind: str
    accent: str
    gender: str


def demo_folder() -> Path:
    """Return the folder of `corpus.tsv` and `audio/`."""
    return Path(str(files("manifests"))) / "demo"


def demo_clips() -> Iterator[DemoClip]:
    """Yield the clips of `corpus.tsv`, in the order of their ids."""
    folder = demo_folder()
    with (folder / "corpus.tsv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield DemoClip(
                id=row["id"],
                path=folder / row["file"],
                speaker=row["speaker"],
                split=row["split"],
                text=row["text"],
                duration=float(row["duration"]),
                kind=row["kind"],
                accent=row["accent"],
                gender=row["gender"],
            )
