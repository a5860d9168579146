"""A training set on disk: `set.json`, its items, and the Lhotse manifests exported beside it.

`select.py` writes it once and nothing changes it afterwards: the items name the data file, row group and row of every
utterance's codes, and the lake keeps these files for as long as the set exists.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from valle.codec.base import CodecSpec
from valle.data.selection.splits import SPLITS
from valle.reporting import write_text
from warehouse.errors import TrainingError
from warehouse.lake.renamed import old_names, rename_columns
from warehouse.lake.store import Location, location_of, open_parquet


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
    used_symbols: tuple[str, ...] = ()
    """Phonemes of the train split; empty in sets from before they were collected."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A training set whose items, with the columns of `TrainingItemRow`, are read from the data file `items_file`."""

    card: TrainingSetCard
    directory: Path
    lake: Location
    items_file: Location

    def tables(self, split: str | None = None, *, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield items in the order of the set, a row group of the data file at a time.

        They are those of one split or of all; of `columns` those that the set has.
        """
        if split not in (None, *SPLITS):
            raise TrainingError(f"A split is one of {', '.join(SPLITS)}, not {split!r}.")
        with open_parquet(self.items_file) as file:
            stored = _stored_columns(file.schema_arrow.names, columns)
            for group in range(file.num_row_groups):
                table = rename_columns("training_items", file.read_row_group(group, columns=stored))
                kept = table if split is None else table.filter(pc.equal(table["split"], split))
                yield kept if columns is None else kept.select([name for name in columns if name in kept.column_names])

    @property
    def items(self) -> pa.Table:
        """Every item, all in memory: for sets of thousands, not of millions."""
        return pa.concat_tables(self.tables())

    def split(self, name: str) -> pa.Table:
        """Return the items of one split, all in memory; see `tables`."""
        return pa.concat_tables(self.tables(name))


def _stored_columns(stored: Sequence[str], columns: Sequence[str] | None) -> list[str] | None:
    """Return the names in the data file of `columns` and of the split; sets of old have old names."""
    if columns is None:
        return None
    old = old_names("training_items", stored)
    wanted = [old.get(name, name) for name in ("split", *columns)]
    return [name for name in stored if name in wanted]


def load_training_set(directory: Path) -> TrainingSet:
    """Open the training set in `directory`. Raises TrainingError when there is none."""
    path = directory / "set.json"
    if not path.exists():
        raise TrainingError(f"There is no training set in {directory}; make one with `valle select`.")
    content = json.loads(path.read_text(encoding="utf-8"))
    named = location_of(content.pop("lake"))
    lake = (directory / named).resolve() if isinstance(named, Path) else named
    # Sets from before the column names of today have `items_part`.
    items_file = lake / content.pop("items_file" if "items_file" in content else "items_part")
    content["codec"] = CodecSpec(**content["codec"])
    for name in ("phoneme_symbols", "used_symbols"):
        content[name] = tuple(content.get(name, ()))
    return TrainingSet(TrainingSetCard(**content), directory, lake, items_file)


def save_card(card: TrainingSetCard, directory: Path, lake: str, items_file: str) -> None:
    """Write `set.json`, last and atomically: a directory that has it is complete.

    `lake` is the path of the lake relative to `directory`, or its URL; `items_file` the data file of the items.
    """
    content = dataclasses.asdict(card) | {"lake": lake, "items_file": items_file}
    write_text(directory / "set.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
