"""Keep the views over the newest snapshot of a lake: as a connection, and as a DuckDB file for other programs."""

from pathlib import Path

import duckdb

from warehouse.catalogue.definitions import define_views, definition_hash
from warehouse.catalogue.views import connect
from warehouse.errors import CatalogueError
from warehouse.files import atomic_write
from warehouse.lake.tables import Lake, Snapshot, one_line


class Catalogue:
    """The catalogue of one lake; `path` is its DuckDB file. For one thread; copies to other processes are closed.

    The views are defined again only when the lake has changed; a run with nothing to do asks once per stage.
    """

    def __init__(self, lake: Lake, path: Path) -> None:
        self.lake = lake
        self.path = path
        self._snapshot: Snapshot | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __reduce__(self) -> tuple[type["Catalogue"], tuple[Lake, Path]]:
        return Catalogue, (self.lake, self.path)

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return a connection to the views over the newest snapshot, valid until the next call."""
        snapshot = self.lake.snapshot()
        if self._connection is None or snapshot != self._snapshot:
            self.close()
            self._snapshot, self._connection = snapshot, connect(snapshot)
        return self._connection

    def close(self) -> None:
        """Close the connection; the next call of `connection` defines the views again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def refresh(self) -> Path:
        """Write the views over the newest snapshot to the DuckDB file, unless it shows that snapshot already.

        A reader never meets a lock, because the new file replaces the old one by a rename. Raises CatalogueError.
        """
        snapshot = self.lake.snapshot()
        if self._shows(snapshot):
            return self.path
        try:
            with atomic_write(self.path, durable=False) as temporary, duckdb.connect(temporary) as connection:
                define_views(connection, snapshot)
                connection.execute("CREATE TABLE definition AS SELECT ? AS hash", [definition_hash(snapshot)])
        except (OSError, duckdb.Error) as error:
            advice = "; free space, then run the same command again" if "No space left" in str(error) else ""
            raise CatalogueError(f"Could not write the catalogue {self.path}: {one_line(error)}{advice}") from error
        return self.path

    def _shows(self, snapshot: Snapshot) -> bool:
        """Return whether the file was made of this snapshot by these definitions."""
        if not self.path.exists():
            return False
        try:
            with duckdb.connect(self.path, read_only=True) as connection:
                found = connection.execute("SELECT hash FROM definition").fetchone()
        except duckdb.Error:
            return False  # Damaged, of an older version, or open in a writer: it is replaced.
        return found == (definition_hash(snapshot),)
