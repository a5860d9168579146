"""Record the checksums of data files that the Delta library rewrote, whose names are no hashes of their content."""

import hashlib

from warehouse.lake.data_files import hash_in_name
from warehouse.lake.store import Location, files_below, read_bytes, read_text, write_text
from warehouse.lake.tables import Lake

FOLDER = "_checksums"
_SUFFIX = ".sha256"


def checksum_folder(lake: Lake, table: str) -> Location:
    """Return the folder with the checksums of a table, one small file for each rewritten data file."""
    return lake.root / FOLDER / table


def recorded_checksums(lake: Lake, table: str) -> dict[str, str]:
    """Return the SHA-256 of the rewritten data files of a table, by their names."""
    files = [file.location for file in files_below(checksum_folder(lake, table))]
    return {path.name.removesuffix(_SUFFIX): read_text(path) for path in files if path.name.endswith(_SUFFIX)}


def record_checksums(lake: Lake, table: str) -> None:
    """Record the checksums of the rewritten data files of the newest version that have none yet.

    After a kill between a rewrite and this call the next one records them.
    """
    recorded = recorded_checksums(lake, table)
    for file in lake.snapshot(tables=(table,)).data_files.get(table, ()):
        if hash_in_name(file.name) is None and file.name not in recorded:
            digest = hashlib.sha256(read_bytes(file)).hexdigest()
            write_text(checksum_folder(lake, table) / f"{file.name}{_SUFFIX}", digest)
