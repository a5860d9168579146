"""The password of a local server: one auth string for the API, its clients and the UI, in a file of its owner.

Whoever may call Prefect's API may run code: a deployment names the file that a worker executes. Binding to 127.0.0.1
is no protection against other users of the machine or against web pages in a browser on it.
"""

import os
import secrets
from pathlib import Path

from warehouse.errors import ConfigurationError

_USER = "valle"


def create_password(home: Path) -> str:
    """Return the password of the local server in `home`; create it if there is none.

    Two callers at the same moment get the same password.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = password_file(home)
    if not path.exists():
        _write_new(path, f"{_USER}:{secrets.token_urlsafe(24)}\n")
    return read_password(home)


def read_password(home: Path) -> str:
    """Return the password of the local server in `home`. Raises ConfigurationError when there is none."""
    path = password_file(home)
    try:
        password = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"Cannot read the password in {path} ({error.strerror}); run `valle up`.") from error
    if not password:
        raise ConfigurationError(f"The password file {path} is empty; delete it and run `valle up`.")
    return password


def password_file(home: Path) -> Path:
    """Return the path of the password file."""
    return home / "password"


def _write_new(path: Path, text: str) -> None:
    """Create a file of mode 0600 with all of its content, unless it exists."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link fails if another process was first.
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        temporary.unlink(missing_ok=True)
