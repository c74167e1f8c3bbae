"""What a caller is told when something went wrong: a status, a code and a sentence, and nothing from inside."""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from aragora_db import errors

__all__ = ["RequestRefused", "problem", "response_to", "routing_error"]

log = logging.getLogger("aragora_db.operate.health")

_RETRY_AFTER = {"Retry-After": "1"}
_LONGEST = 500  # characters of a message

# The first class that fits decides. Texts are ours: those of exceptions may name servers, tables and rows.
_ANSWERS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (errors.NotFoundError, 404, "not_found", "there is no such object"),
    (
        errors.ConflictError,
        409,
        "conflict",
        "a debate with this id, or Idempotency-Key, is there with other content; choose another one",
    ),
    (errors.ConstraintViolation, 409, "conflict", "this contradicts what is recorded already"),
    (
        errors.CommitUnknown,
        503,
        "unknown",
        (
            "the outcome is unknown: the change may or may not have happened. Send the request again with the same "
            "Idempotency-Key, or look for its effect first"
        ),
    ),
    (errors.PoolExhausted, 503, "busy", "no database connection became free in time; try again"),
    (errors.LockTimeout, 503, "busy", "another transaction was in the way; try again"),
    (errors.DatabaseUnavailable, 503, "unavailable", "the database cannot be reached; try again"),
    (errors.StorageError, 503, "unavailable", "the database cannot write; try again"),
    (errors.StatementTimeout, 503, "timeout", "the database took too long; try again"),
    (errors.CommandTimeout, 503, "timeout", "the database took too long; try again"),
    (errors.MigrationError, 503, "schema", "the database's schema is not usable by this version; see the server's log"),
)


class RequestRefused(Exception):
    """A request that is answered without asking the database.

    Args:
        status: the HTTP status.
        code: one word for programs.
        message: what is wrong and what to do.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def problem(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """The body of every error: ``{"error": {"code", "message"}}``."""
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


def response_to(error: Exception) -> Response:
    """The answer to an exception; what we have no answer to is logged, and is a 500."""
    if isinstance(error, RequestRefused):
        return problem(error.status, error.code, error.message)
    if isinstance(error, errors.InvalidValue):
        return problem(422, "invalid", str(error)[:_LONGEST])  # about the caller's own values, which it may quote
    for kind, status, code, message in _ANSWERS:
        if isinstance(error, kind):
            if status >= 500:  # noqa: PLR2004 -- HTTP's own border
                log.warning("%s: %s", type(error).__name__, " ".join(str(error).split()))
            return problem(status, code, message, _RETRY_AFTER if status == 503 else None)  # noqa: PLR2004
    log.error("a request failed", exc_info=error)
    return problem(500, "internal", "this is a bug or a misconfiguration of the server; see its log")


def routing_error(request: Request, error: Any) -> Response:
    """The answer to what the router refuses: an unknown path, or a method that a path does not have."""
    known: HTTPException = error
    if known.status_code == 405:  # noqa: PLR2004
        methods = request.app.state.methods[request.scope["endpoint"]]
        allow = {"Allow": ", ".join(methods)}
        return problem(405, "method_not_allowed", "this path has other methods; see the header Allow", allow)
    code = {404: "not_found"}.get(known.status_code, "refused")
    return problem(known.status_code, code, "there is nothing at this path; see /openapi.json")
