"""`valle schedule`: corpora that are ingested and quantized every night."""

from typing import Annotated

from cyclopts import Parameter

from flows.parameters import Located
from flows.server.schedules import (
    CorpusSchedule,
    add_schedule,
    apply_to_local_server,
    read_schedules,
    remove_schedule,
)
from valle.cli.arguments import FIELDS, say
from valle.data_root import DataRoot


class ScheduleOptions(Located, CorpusSchedule):
    """Schedule a corpus."""


def add(*, options: Annotated[ScheduleOptions, FIELDS]) -> int:
    """Ingest and quantize a corpus every night."""
    add_schedule(options.data_root.root, CorpusSchedule(**options.model_dump(exclude={"data"})))
    return _show(options.data_root)


def list_schedules(*, options: Annotated[Located, FIELDS] = Located()) -> int:
    """List the scheduled corpora."""
    return _show(options.data_root)


def remove(
    name: Annotated[str, Parameter(help="Corpus.")], /, *, options: Annotated[Located, FIELDS] = Located()
) -> int:
    """Remove the schedule of a corpus; its data stay."""
    remove_schedule(options.data_root.root, name)
    return _show(options.data_root)


def _show(data_root: DataRoot) -> int:
    is_up = apply_to_local_server(data_root.root)
    for one in read_schedules(data_root.root):
        corpus = one.corpus
        say(f"{corpus.name}: {corpus.kind} {corpus.root}; ingest {one.ingest_at}, quantize {one.quantize_at} (UTC)")
    if not is_up:
        say("The local server is not up; `valle up` starts it with these schedules.")
    return 0
