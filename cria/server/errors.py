"""One table from exception class to HTTP answer; nothing else in Cria chooses a status.

1. An exception is looked up by its class, then by its bases, so a new leaf needs no row.
2. Whatever is not in the table is our bug: a 500 that says nothing of what went wrong inside.
3. The same description serves a plain answer and an event inside a stream. No flask here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from cria.api.errors import encode_error
from cria.errors import (
    AccessDenied,
    AuthenticationFailed,
    ClientGone,
    EngineDied,
    EngineError,
    EngineUnavailable,
    ModelNotFound,
    ModelProducedNan,
    QueueFull,
    QueueTimeout,
    RateLimited,
    RequestError,
    RequestQuarantined,
    ServerStopping,
    StoredNotFound,
    StoreUnwritable,
)

INVALID_REQUEST = "invalid_request_error"
CLIENT_CLOSED_REQUEST = 499
MAX_SHOWN_PATH = 200


class Failure(NamedTuple):
    """How one kind of failure looks on the wire."""

    status: int
    type: str
    code: str | None = None
    headers: Mapping[str, str] = {}


FAILURES: dict[type[Exception], Failure] = {
    RequestError: Failure(400, INVALID_REQUEST),
    ModelNotFound: Failure(404, INVALID_REQUEST),
    StoredNotFound: Failure(404, INVALID_REQUEST),
    AuthenticationFailed: Failure(401, INVALID_REQUEST, None, {"WWW-Authenticate": "Bearer"}),
    AccessDenied: Failure(403, INVALID_REQUEST),
    RequestQuarantined: Failure(400, INVALID_REQUEST, "request_quarantined"),
    RateLimited: Failure(429, "rate_limit_error", "rate_limit_exceeded"),
    QueueFull: Failure(429, "rate_limit_error", "queue_full"),
    EngineUnavailable: Failure(503, "unavailable_error", "model_loading"),
    EngineDied: Failure(503, "server_error", "engine_crashed"),
    QueueTimeout: Failure(503, "unavailable_error", "queue_timeout"),
    ServerStopping: Failure(503, "unavailable_error", "server_shutting_down", {"Retry-After": "1"}),
    StoreUnwritable: Failure(507, "server_error", "storage_full"),
    ModelProducedNan: Failure(500, "server_error", "model_produced_nan"),
    EngineError: Failure(500, "server_error", "server_error"),
    # nginx's status for "the client hung up"; nobody reads it but the access log.
    ClientGone: Failure(CLIENT_CLOSED_REQUEST, INVALID_REQUEST),
}
UNEXPECTED = Failure(500, "server_error", "server_error")
UNEXPECTED_MESSAGE = "The server had an error while processing your request."

FRAMEWORK_CODES = {
    405: "method_not_supported",
    408: "request_timeout",
    413: "request_too_large",
    414: "request_too_large",
    431: "request_too_large",
    500: "server_error",
}


def failure_of(error: Exception) -> Failure:
    """The row of the exception's class or of its nearest base."""
    for kind in type(error).__mro__:
        if kind in FAILURES:
            return FAILURES[kind]
    return UNEXPECTED


def is_expected(error: Exception) -> bool:
    """Whether the exception was raised on purpose, so that no traceback is worth logging."""
    return failure_of(error) is not UNEXPECTED or isinstance(error, HTTPException)


def error_headers(error: Exception) -> dict[str, str]:
    """Those of its row, and whether and when the request may be sent again.

    The openai client obeys `x-should-retry` before it looks at the status, and sends what has ended
    in a 5xx again by itself: a request that may have ended the engine must not be.
    """
    headers = dict(failure_of(error).headers)
    if (seconds := getattr(error, "retry_after", None)) is not None:
        headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    if (may_retry := getattr(error, "may_retry", None)) is not None:
        headers["x-should-retry"] = "true" if may_retry else "false"
    return headers


def error_body(error: Exception) -> bytes:
    """The JSON of an exception, as the body of an answer or as an event of a stream."""
    failure = failure_of(error)
    if failure is UNEXPECTED:
        return encode_error(UNEXPECTED_MESSAGE, failure.type, None, failure.code)
    param = getattr(error, "param", None)
    code = getattr(error, "code", None) or failure.code
    return encode_error(str(error), failure.type, param, code)


def framework_error_body(error: HTTPException, method: str, path: str) -> bytes:
    """The same envelope for what Flask itself refuses: 404, 405, 413 and their like."""
    status = error.code or 500
    kind = INVALID_REQUEST if status < 500 else "server_error"
    message = framework_message(error, method, path)
    return encode_error(message, kind, None, FRAMEWORK_CODES.get(status))


def framework_headers(error: HTTPException) -> dict[str, str]:
    """`Allow` for a 405; the rest of the framework's headers describe its HTML page."""
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        return {"Allow": ", ".join(sorted(error.valid_methods))}
    return {}


def framework_message(error: HTTPException, method: str, path: str) -> str:
    """What is wrong, in one sentence."""
    path = path[:MAX_SHOWN_PATH]
    if isinstance(error, NotFound):
        return f"Invalid URL ({method} {path})"
    if isinstance(error, MethodNotAllowed):
        return f"Not allowed to {method} on {path}."
    return error.description or error.name
