"""`valle migrate`: checkpoints and lakes of the previous format."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from valle.cli.arguments import say
from warehouse.errors import ConfigurationError


def migrate(
    *paths: Annotated[Path, Parameter(help="Checkpoints, runs, data roots or lakes.")],
) -> int:
    """Convert checkpoints and lakes of the previous format in place; what is current already stays as it is."""
    if not paths:
        raise ConfigurationError("Name the checkpoints, runs, data roots or lakes to convert.")
    for path in paths:
        say(f"{path}: {_migrate(path)}")
    return 0


def _migrate(path: Path) -> str:
    from valle.checkpoints.migration import migrate_checkpoint
    from valle.checkpoints.runs import CARD, list_checkpoints
    from warehouse.lake.tables import Lake
    from warehouse.upkeep.migrate import migrate_lake

    if (path / CARD).is_file():
        return "converted" if migrate_checkpoint(path) else "current already"
    if checkpoints := list_checkpoints(path):
        converted = sum(migrate_checkpoint(checkpoint) for checkpoint in checkpoints)
        return f"{converted} of {len(checkpoints)} checkpoints converted"
    lake = next((folder for folder in (path / "lake", path) if any(folder.glob("*/_delta_log"))), None)
    if lake is None:
        raise ConfigurationError(f"{path} is no checkpoint, run, data root or lake.")
    count = migrate_lake(Lake(lake))
    return f"{count} data files of codes written again" if count else "current already"
