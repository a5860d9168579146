"""Look up versions of installed packages."""

import importlib.metadata
from functools import cache


@cache
def version(package: str) -> str:
    """Return the version of an installed package. Raises importlib.metadata.PackageNotFoundError.

    A process asks for the same few at every shard, and each time the whole metadata of the package would be parsed.
    """
    return importlib.metadata.version(package)
