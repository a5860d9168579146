"""`valle serve`: speech for other programs over HTTP."""

from typing import Annotated

from valle.cli.arguments import FIELDS, say
from valle.serving.options import ServeOptions
from warehouse.errors import DependencyError


def serve(*, options: Annotated[ServeOptions, FIELDS] = ServeOptions()) -> int:
    """Serve speech by the interface of OpenAI's speech endpoint until SIGTERM."""
    try:
        from valle.serving.server import key_path_of, read_keys, run_server
    except ImportError as error:
        raise DependencyError(f"Serving needs {error.name}: run `pip install 'valle[serve]'`.") from error
    keys = read_keys(options)
    if options.show_key:
        say(keys[0])
        return 0
    say(f"valle serves http://{options.host}:{options.port}/v1; the API key is in {key_path_of(options)}")
    run_server(options)
    return 0
