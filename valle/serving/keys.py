"""Check of API keys, for requests and for WebSockets."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from valle.serving.errors import RefusedRequest

_SCHEME = "bearer "


def has_key(authorization: str, keys: Sequence[str]) -> bool:
    """Return whether a header `Authorization: Bearer KEY` has one of the keys.

    In constant time and against every key, so that the time of an answer tells nothing about a key.
    """
    given = authorization[len(_SCHEME) :] if authorization.lower().startswith(_SCHEME) else ""
    found = [secrets.compare_digest(given.encode(), key.encode()) for key in keys]
    return any(found)


def key_check(keys: Sequence[str]) -> Callable[..., Awaitable[None]]:
    """Return a dependency of routes that refuses requests without a key with 401."""
    bearer = HTTPBearer(auto_error=False)

    async def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        if not has_key(f"Bearer {given.credentials}" if given else "", keys):
            message = "The API key is missing or wrong; `valle serve --show-key` prints it."
            raise RefusedRequest(401, message, "invalid_api_key", {"WWW-Authenticate": "Bearer"})

    return check
