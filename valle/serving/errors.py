"""Errors as OpenAI's clients read them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse


class RefusedRequest(Exception):
    """A request that is answered with an error: status, one sentence, and the code that programs compare."""

    def __init__(self, status: int, message: str, code: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, dict(headers)


def error_response(
    status: int, message: str, code: str, headers: Mapping[str, str] = MappingProxyType({})
) -> JSONResponse:
    """Return the answer that OpenAI's clients turn into an exception."""
    return JSONResponse(error_content(status, message, code), status, headers=dict(headers))


def error_content(status: int, message: str, code: str) -> dict[str, dict[str, Any]]:
    """Return the JSON of an error."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


async def on_refused(request: Request, error: Exception) -> JSONResponse:
    """Answer a refused request."""
    assert isinstance(error, RefusedRequest)
    return error_response(error.status, error.message, error.code, error.headers)


async def on_invalid(request: Request, error: Exception) -> JSONResponse:
    """Answer a body or form that does not fit its model: one sentence with the name of each field."""
    assert isinstance(error, RequestValidationError)
    problems = "; ".join(
        f"{'.'.join(str(key) for key in problem['loc'][1:]) or 'body'}: {problem['msg']}" for problem in error.errors()
    )
    return error_response(400, problems, "invalid_value")
