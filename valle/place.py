"""Where everything lies: one root for all bulk data, and the environment read in one place."""

import os
from dataclasses import dataclass
from pathlib import Path

from warehouse.lake import Lake


@dataclass(frozen=True, slots=True)
class Place:
    """The data root and the folders below it."""

    root: Path

    @property
    def lake(self) -> Lake:
        """The Delta tables."""
        return Lake(self.root / "lake")

    @property
    def catalogue(self) -> Path:
        """The DuckDB file; may be deleted at any time."""
        return self.root / "catalogue.duckdb"

    @property
    def manifests(self) -> Path:
        """Lhotse manifests of the corpora."""
        return self.root / "manifests"

    @property
    def training_sets(self) -> Path:
        """One folder per training set."""
        return self.root / "training_sets"

    @property
    def runs(self) -> Path:
        """One folder per training run, with its checkpoints."""
        return self.root / "runs"

    @property
    def reports(self) -> Path:
        """Markdown reports and plots."""
        return self.root / "reports"

    @property
    def speech(self) -> Path:
        """Speech made by evaluations and by `valle speak`."""
        return self.root / "speech"

    @property
    def corpora(self) -> Path:
        """Corpora that the project lays out itself (the demo)."""
        return self.root / "corpora"


def default_root() -> Path:
    """`VALLE_DATA`, or `data` in the current folder."""
    return Path(os.environ.get("VALLE_DATA", "data"))


def place(root: Path | None = None) -> Place:
    """The place below `root`, by default `default_root()`; always absolute, because workers run elsewhere."""
    return Place((root or default_root()).expanduser().resolve())
