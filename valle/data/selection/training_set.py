"""A training set on disk: `set.json`, its items, and the Lhotse manifests exported beside it.

`select.py` writes it once and nothing changes it afterwards: the items name the data file, row group and row of every
utterance's codes, and the lake keeps these files for as long as the set exists.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from valle.codec.base import CodecSpec
from valle.reporting import write_text
from warehouse.errors import TrainingError
from warehouse.lake.renamed import rename_columns
from warehouse.lake.store import Location, location_of, read_parquet

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSetCard:
    """Content of `set.json`: the selection of the set and the table versions it is pinned to."""

    id: str
    name: str
    created_at: str
    where: str
    weight: str
    split_policy: str
    codec: CodecSpec
    phoneme_symbols: tuple[str, ...]
    table_versions: dict[str, int]
    utterances: dict[str, int]
    hours: dict[str, float]
    licences: dict[str, float]
    evaluation_items: int = 0
    """Utterances of train and dev that evaluations had used before; 0 unless the selection allowed them."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A loaded training set. `items` has the columns of `warehouse.rows.TrainingItemRow`, all splits."""

    card: TrainingSetCard
    directory: Path
    lake: Location
    items: pa.Table

    def split(self, name: str) -> pa.Table:
        """Return the items of one split, in the order of the set."""
        if name not in SPLITS:
            raise TrainingError(f"A split is one of {', '.join(SPLITS)}, not {name!r}.")
        return self.items.filter(pc.equal(self.items["split"], name))


def load_training_set(directory: Path) -> TrainingSet:
    """Open the training set in `directory`. Raises TrainingError when there is none."""
    path = directory / "set.json"
    if not path.exists():
        raise TrainingError(f"There is no training set in {directory}; make one with `valle select`.")
    content = json.loads(path.read_text(encoding="utf-8"))
    named = location_of(content.pop("lake"))
    lake = (directory / named).resolve() if isinstance(named, Path) else named
    # Sets from before the column names of today have `items_part`.
    items = read_parquet(lake / content.pop("items_file" if "items_file" in content else "items_part"))
    content["codec"] = CodecSpec(**content["codec"])
    content["phoneme_symbols"] = tuple(content["phoneme_symbols"])
    return TrainingSet(TrainingSetCard(**content), directory, lake, rename_columns("training_items", items))


def save_card(card: TrainingSetCard, directory: Path, lake: str, items_file: str) -> None:
    """Write `set.json`, last and atomically: a directory that has it is complete.

    `lake` is the path of the lake relative to `directory`, or its URL; `items_file` the data file of the items.
    """
    content = dataclasses.asdict(card) | {"lake": lake, "items_file": items_file}
    write_text(directory / "set.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
