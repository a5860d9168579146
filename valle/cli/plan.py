"""`valle plan`: what `valle prepare` would do with the same options, without doing it."""

from collections.abc import Sequence
from importlib import import_module

from valle.backends import Backends
from valle.cli.arguments import parse, say
from valle.stages.shard import plan
from warehouse.catalogue import NewestCatalogue


def run(command: str, arguments: Sequence[str]) -> int:
    """Print, per stage, what is done and what is missing."""
    # The options of `prepare`, which live with the flows; this module imports no flow.
    parameters = import_module("flows.parameters").PrepareParameters
    options = parse(parameters, command, arguments)
    backends = Backends(device=options.workers.device)
    say(f"{'stage':12} {'done':>9} {'missing':>9} {'shards':>7} {'hours':>8}")
    catalogue = NewestCatalogue(options.place.lake)
    for stage in options.stages.in_order():
        found = plan(stage, options.corpus.name, catalogue, backends)
        say(
            f"{stage.name:12} {found.rows_done:9,} {found.rows:9,} {len(found.shards):7,} "
            f"{found.audio_seconds / 3600:8.2f}"
        )
    say("Later stages are planned on what the earlier ones have made so far.")
    return 0
