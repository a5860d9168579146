"""A secret in a file of its owner, made once: a password or an API key.

Binding to 127.0.0.1 is no protection against other users of the machine or against web pages in a browser on it.
"""

import os
import secrets
from pathlib import Path

from warehouse.errors import ConfigurationError


def create_secret(path: Path, prefix: str, remedy: str) -> str:
    """Return the secret in `path`; create it, as `prefix` and 32 random letters, if there is none.

    Two callers at the same moment get the same secret. Errors as `read_secret`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _write_new(path, f"{prefix}{secrets.token_urlsafe(24)}\n")
    return read_secret(path, remedy)


def read_secret(path: Path, remedy: str) -> str:
    """Return the secret in `path`. Raises ConfigurationError, which names the remedy, when there is none."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"Cannot read the secret in {path} ({error.strerror}); {remedy}.") from error
    if not secret:
        raise ConfigurationError(f"The file {path} is empty; delete it and {remedy}.")
    return secret


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
