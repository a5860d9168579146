"""Locate bulk data: one root folder, and the environment variables that set it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.lake.store import location_of
from warehouse.lake.tables import Lake

if TYPE_CHECKING:
    from warehouse.catalogue.catalogue import Catalogue


@dataclass(frozen=True)
class DataRoot:
    """The data root and the folders below it; the lake may be on an object store instead."""

    root: Path
    lake_url: str | None = None

    @property
    def lake(self) -> Lake:
        """The Delta tables."""
        return Lake(location_of(self.lake_url) if self.lake_url else self.root / "lake")

    @cached_property
    def catalogue(self) -> Catalogue:
        """The views over the lake, and their DuckDB file, which may be deleted at any time."""
        # DuckDB is loaded by the processes that ask; a worker that only reads and writes rows does not.
        from warehouse.catalogue.catalogue import Catalogue

        return Catalogue(self.lake, self.root / "catalogue.duckdb")

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
        """Speech that evaluations and `valle speak` synthesized."""
        return self.root / "speech"

    @property
    def corpora(self) -> Path:
        """Corpora that the project lays out itself (the demo)."""
        return self.root / "corpora"


def default_root() -> Path:
    """Return `VALLE_DATA`, or `data` in the current folder."""
    return Path(os.environ.get("VALLE_DATA", "data"))


def open_data_root(root: Path | None = None) -> DataRoot:
    """Return the data root at `root`, by default `default_root()`, as absolute paths: workers run in other folders.

    `VALLE_LAKE` sets another location of the lake: an `s3://bucket/prefix`, or a folder.
    """
    lake = os.environ.get("VALLE_LAKE") or None
    if lake and "://" not in lake:
        lake = str(Path(lake).expanduser().resolve())
    return DataRoot((root or default_root()).expanduser().resolve(), lake)
