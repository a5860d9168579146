"""Fingerprints: what made a row, as 32 hex digits.

A stage's configuration is the hash of its name, version, options and model revision. The fingerprint of a row is the
hash of that configuration and of the fingerprint of its input row, so a change anywhere upstream changes everything
downstream of it and nothing else. The same rule is written once in Python and once in SQL (MD5 exists in both).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

CHAIN_SQL = "md5({configuration} || ':' || {fingerprint})"
"""The SQL of `chain`, to be formatted with two expressions."""


def configuration_of(name: str, version: int, options: Mapping[str, Any], revision: str) -> str:
    """Return the configuration hash of a stage; the order of the options does not matter."""
    content = {"name": name, "version": version, "options": dict(options), "revision": revision}
    return short_hash(json.dumps(content, sort_keys=True, ensure_ascii=False, default=str))


def chain(configuration: str, fingerprint: str) -> str:
    """Return the fingerprint of the output of a stage with `configuration` on an input with `fingerprint`."""
    return short_hash(f"{configuration}:{fingerprint}")


def short_hash(text: str) -> str:
    """32 hex digits that identify `text`; not a secret."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
