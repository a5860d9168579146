"""`valle plan`: what `valle prepare` would do with the same options, without doing it."""

from collections.abc import Sequence
from importlib import import_module

from manifests.corpora.registry import open_corpus
from valle.cli.arguments import parse, say
from valle.stages.dry_run import forecast
from valle.stages.ingest import find_unread
from warehouse.catalogue.display import format_table


def run(command: str, arguments: Sequence[str]) -> int:
    """Print, per stage, what is done, what would be done and redone, its hours, time, bytes and reason."""
    # The options of `prepare`, which live with the flows; this module imports no flow.
    parameters = import_module("flows.parameters").PrepareParameters
    # `valle plan prepare ...` reads as what it plans.
    given = list(arguments)[1:] if list(arguments)[:1] == ["prepare"] else list(arguments)
    options = parse(parameters, command, given)
    choice, lake = options.corpus, options.data_root.lake
    corpus = open_corpus(choice.kind, choice.root, name=choice.name, options=choice.options)
    found = forecast(options.stages.in_order(), choice.name, lake, unread=find_unread(corpus, lake))
    say(format_table(found.table(width=options.workers.width)))
    for note in found.notes:
        say(note)
    return 0
