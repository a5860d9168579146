"""`valle ui`: a page in the browser."""

from typing import Annotated

from valle.cli.arguments import FIELDS, say
from valle.ui.options import UiOptions
from warehouse.errors import DependencyError


def ui(*, options: Annotated[UiOptions, FIELDS] = UiOptions()) -> int:
    """Speak, browse data, follow training and read scores in a browser, until SIGTERM."""
    try:
        from valle.ui.app import USER, read_ui_password, run_ui
    except ImportError as error:
        raise DependencyError(f"The page needs {error.name}: run `pip install 'valle[ui]'`.") from error
    password = read_ui_password(options)
    if options.show_password:
        say(password)
        return 0
    say(f"valle ui: http://{options.host}:{options.port}, user {USER}; `valle ui --show-password` prints the password")
    from valle.cli.start_training import TrainCommand
    from valle.data_root import open_data_root

    run_ui(options, TrainCommand(open_data_root(options.data)))
    return 0
