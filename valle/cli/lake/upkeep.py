"""Commands that check, compact and clean the lake, `valle lake ...`, and `valle data retry`."""

from typing import Annotated

from cyclopts import Parameter
from pydantic import Field

from valle.cli.arguments import FIELDS, say
from valle.cli.lake.options import LakeOptions


class VacuumOptions(LakeOptions):
    """Options of `valle lake vacuum`."""

    grace_hours: float = Field(default=24.0, ge=0, le=1e6)
    """Files replaced since are kept, as a reader may read them; what a run may use is kept for an hour at least."""
    dry_run: bool = False
    """Only print what would be removed."""


class RetryOptions(LakeOptions):
    """Options of `valle data retry`."""

    reason: str | None = None
    """Only rows dropped for this reason."""
    corpus: str | None = None
    """Only rows of this corpus."""


def catalogue(*, options: Annotated[LakeOptions, FIELDS] = LakeOptions()) -> int:
    """Rebuild the DuckDB file from the lake."""
    path = options.data_root.catalogue.refresh()
    say(f"{path}\nOpen it with: duckdb -readonly {path}")
    return 0


def fsck(*, options: Annotated[LakeOptions, FIELDS] = LakeOptions()) -> int:
    """Check every promise of the lake; 1 when one is broken."""
    from warehouse.upkeep.fsck import fsck as check_lake

    check = check_lake(options.data_root.lake)
    orphans = f"{len(check.orphans)} orphaned files (`valle lake vacuum` removes them)"
    say(f"{check.data_files} data files, {check.rows:,} rows, {orphans}")
    for fault in check.faults:
        say(f"{fault.table}: {fault.kind}: {fault.what}")
    say("The lake is sound." if check.is_sound else f"{len(check.faults)} faults.")
    return 0 if check.is_sound else 1


def compact(*, options: Annotated[LakeOptions, FIELDS] = LakeOptions()) -> int:
    """Merge small files of the lake."""
    from warehouse.upkeep.maintenance import compact as compact_lake

    for done in compact_lake(options.data_root.lake):
        say(f"{done.table}: {done.files_before} data files are now {done.files_after}")
    # The catalogue names data files that are gone now.
    options.data_root.catalogue.refresh()
    return 0


def vacuum(*, options: Annotated[VacuumOptions, FIELDS] = VacuumOptions()) -> int:
    """Remove files of the lake that no table refers to."""
    from warehouse.upkeep.maintenance import vacuum as vacuum_lake

    done = vacuum_lake(options.data_root.lake, grace_hours=options.grace_hours, dry_run=options.dry_run)
    say(f"{'Would remove' if options.dry_run else 'Removed'} {done.files} files, {done.size / 1e6:.1f} MB")
    return 0


def retry(
    stage: Annotated[str, Parameter(help="The stage, or `ingest`.")],
    /,
    *,
    options: Annotated[RetryOptions, FIELDS] = RetryOptions(),
) -> int:
    """Remove dropped rows of a stage, so that the next run processes them again."""
    from warehouse.upkeep.retry import forget_drops

    removed = forget_drops(options.data_root.lake, stage, reason=options.reason, corpus=options.corpus)
    say(f"Removed {removed} dropped rows of {stage}; run `valle prepare` again to retry them.")
    return 0
