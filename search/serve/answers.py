"""What the API answers: JSON, and errors as one sentence with the right status."""

from __future__ import annotations

from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from space.errors import (
    DeletedError,
    LeaseLostError,
    NoStudiesError,
    SearchError,
    StorageError,
    StudyMismatchError,
    StudyNotFoundError,
    UserError,
)
from space.terminal.printing import as_json

__all__ = ["HANDLERS", "Json", "Problem", "problem"]

_STATUS: tuple[tuple[type[UserError], int], ...] = (
    (StudyNotFoundError, 404),
    (NoStudiesError, 404),
    (StudyMismatchError, 409),
    (LeaseLostError, 409),
    (SearchError, 409),
    (DeletedError, 410),
    (StorageError, 503),
    (UserError, 422),
)
"""The first that fits counts."""


NO_JSON = "the body is no JSON, or none that can be read"


class Json(JSONResponse):
    """JSON as all commands print it: numbers that JSON does not have are strings."""

    def render(self, content: Any) -> bytes:
        """Write it."""
        return as_json(content).encode()


class Problem(HTTPException):
    """What a request cannot have, in one sentence."""

    def __init__(self, status: int, text: str) -> None:
        """Say it.

        Args:
            status: The answer's status.
            text: The sentence.
        """
        super().__init__(status, text)


def problem(
    error: UserError | str, status: int | None = None, headers: dict[str, str] | None = None
) -> Json:
    """The answer to a request that cannot be done.

    Args:
        error: What is wrong, or a sentence that says so.
        status: The answer's status; None: as the error says.
        headers: What else the answer has.
    """
    if status is None:
        status = next(number for kind, number in _STATUS if isinstance(error, kind))
    text = " ".join(str(error).split())
    if status == 503:
        # Its sentence names the store's place, which is for who started the server alone.
        text = "the store cannot be used right now; the server's terminal says why; try again"
        headers = {"Retry-After": "5"}
    return Json({"error": text}, status, headers)


def _user_error(request: Request, error: Any) -> Json:
    answer = problem(error)
    if answer.status_code == 503:
        request.app.state.log.warning("%s", error)
    elif isinstance(error, StorageError):
        name = request.app.state.store_name
        text = " ".join(str(error).split())
        text = text.removeprefix(f"storage {name}: ").replace(name, "the store")
        return Json({"error": text}, answer.status_code)
    return answer


def _http_error(request: Request, error: Any) -> Json:
    text = error.detail
    if not isinstance(error, Problem):
        text = {
            404: f"there is nothing at {request.url.path}; openapi.json lists what there is",
            400: NO_JSON,
            405: f"{request.url.path} does not take {request.method}",
        }.get(error.status_code, text)
    return problem(str(text), error.status_code, error.headers)


def _wrong_request(request: Request, error: RequestValidationError) -> Json:
    first, *others = error.errors()
    where = ".".join(str(each) for each in first["loc"] if each != "body")
    kind = NO_JSON if first["type"] == "json_invalid" else str(first["msg"])
    text = f"{where}: {kind[0].lower()}{kind[1:]}" if where else kind
    return problem(text + (f" (and {len(others)} more)" if others else ""), 422)


def _our_fault(request: Request, error: Exception) -> Json:
    return problem("the server made a mistake, which its terminal tells; nothing is lost", 500)


def _too_deep(request: Request, error: Any) -> Json:
    return problem("the body is nested too deeply", 422)


HANDLERS: dict[Any, Any] = {
    UserError: _user_error,
    RecursionError: _too_deep,
    HTTPException: _http_error,
    RequestValidationError: _wrong_request,
    Exception: _our_fault,
}
"""Kind of error -> what answers it."""
