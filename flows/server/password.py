"""The password of a local server: one auth string for the API, its clients and the UI, in a file of its owner.

Whoever may call Prefect's API may run code: a deployment names the file that a worker executes.
"""

from pathlib import Path

from valle.web.secret_file import create_secret, read_secret

_REMEDY = "run `valle up`"


def create_password(home: Path) -> str:
    """Return the password of the local server in `home`; create it if there is none."""
    return create_secret(password_file(home), "valle:", _REMEDY)


def read_password(home: Path) -> str:
    """Return the password of the local server in `home`. Raises ConfigurationError when there is none."""
    return read_secret(password_file(home), _REMEDY)


def password_file(home: Path) -> Path:
    """Return the path of the password file."""
    return home / "password"
