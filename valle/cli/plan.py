"""`valle data plan`: what `valle prepare` would do with the same options, without doing it."""

from typing import Annotated

from flows.parameters import PrepareParameters
from manifests.corpora.registry import open_corpus
from valle.backends.registry import Backends
from valle.cli.arguments import FIELDS, say
from valle.stages.dry_run import forecast
from valle.stages.ingest import find_unread
from warehouse.catalogue.display import format_table


def plan(*, options: Annotated[PrepareParameters, FIELDS]) -> int:
    """Print, per stage, what is done, what would be done and redone, its hours, time, bytes and reason."""
    choice, lake = options.corpus, options.data_root.lake
    corpus = open_corpus(choice.kind, choice.root, name=choice.name, options=choice.options)
    result = forecast(
        options.stages.in_order(),
        choice.name,
        lake,
        Backends(device=options.workers.device),
        unread=find_unread(corpus, lake),
    )
    say(format_table(result.table(width=options.workers.width)))
    for note in result.notes:
        say(note)
    return 0
