"""Answers that are written without the application: to what is no request, or one too many."""

from __future__ import annotations

import uuid
from http import HTTPStatus

from cria.api.errors import encode_error
from cria.server.errors import FRAMEWORK_CODES, INVALID_REQUEST
from cria.server.headers import VERSION_HEADER

MAX_LOGGED_PATH = 200


def raw_error(
    status: int, message: str, *, code: str | None = None, retry_after: int | None = None
) -> bytes:
    """A whole answer in OpenAI's envelope, which ends the connection."""
    kind = INVALID_REQUEST if status < 500 else "server_error"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        kind = "unavailable_error"
    body = encode_error(message, kind, None, code or FRAMEWORK_CODES.get(status))
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"x-request-id: req_{uuid.uuid4().hex}",
        "openai-processing-ms: 0",
        ": ".join(VERSION_HEADER),
        *([] if retry_after is None else [f"Retry-After: {retry_after}"]),
        "Connection: close",
        "\r\n",
    ]
    return "\r\n".join(lines).encode("ascii") + body


def printable(text: str) -> str:
    """A client's text for a log line: nothing that a terminal would act on, and not too long."""
    return text[:MAX_LOGGED_PATH].encode("unicode_escape").decode("ascii")
