"""Parse a command line of `valle` without running it."""

from valle.cli.app import build_app
from valle.cli.arguments import parse, read_options_from


def parse_options(*tokens, config=None):
    """The option model that a command gets."""
    app = build_app()
    read_options_from(app, config)
    _, bound = parse(app, tokens)
    bound.apply_defaults()
    return bound.arguments["options"]
