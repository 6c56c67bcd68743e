"""From the bytes of a request to its Struct, within limits.

1. Never more than `max_body_bytes + 1` bytes are read, with a length header or without: Flask's own
   limit cuts a chunked body off without a word.
2. What parses as JSON is taken, whatever its Content-Type says.
3. Fields without effect are reported in `x-cria-warnings`; strict mode refuses those it does not
   know.
"""

from __future__ import annotations

import re
from typing import TypeVar

from flask import Request, g
from werkzeug.exceptions import RequestEntityTooLarge

from cria.api.decoding import RequestBody, decode
from cria.config import ServerConfig
from cria.errors import RequestError
from cria.server.auth import check_model

Body = TypeVar("Body", bound=RequestBody)

MAX_WARNINGS_LENGTH = 1024
ON = frozenset({"1", "true", "yes", "on"})
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\[\]-]")


def read_request(request: Request, kind: type[Body], config: ServerConfig) -> Body:
    """Decode the body of the current request; its warnings go into the answer's header."""
    decoded, warnings = decode(read_body(request, config.max_body_bytes), kind)
    check_model(getattr(decoded, "model", None))
    if is_strict(request, config):
        refuse_warnings(decoded, warnings)
        decoded.check_strictly()
    g.cria_warnings = warnings
    return decoded


def refuse_warnings(decoded: RequestBody, warnings: tuple[str, ...]) -> None:
    """What strict mode adds; hints that never change an answer, such as `user`, stay welcome."""
    without_effect = {*decoded.NOTED, *decoded.without_effect()}
    for path in warnings:
        if path not in without_effect:
            message = f"Unknown parameter: '{path}'."
            raise RequestError(message, param=path, code="unknown_parameter")
    if "stream_options" in warnings:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise RequestError(message, param="stream_options")


def add_warnings(paths: tuple[str, ...]) -> None:
    """Report what the model made of the request beside what its decoding found."""
    g.cria_warnings = (*g.get("cria_warnings", ()), *paths)


def is_strict(request: Request, config: ServerConfig) -> bool:
    """Whether unknown fields are errors, for the whole server or for this request."""
    return config.strict or request.headers.get("x-cria-strict", "").lower() in ON


def read_body(request: Request, max_bytes: int) -> bytes:
    """All of the body, or a 413."""
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    body = _read(request, max_bytes + 1)
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def warnings_header(paths: tuple[str, ...]) -> str:
    """Field paths as a header value; a client chose these names, so only safe characters stay."""
    shown = ", ".join(_UNSAFE.sub("?", path) for path in paths)
    return shown if len(shown) <= MAX_WARNINGS_LENGTH else shown[:MAX_WARNINGS_LENGTH] + "..."


def _read(request: Request, num_bytes: int) -> bytes:
    """A broken or malformed upload shows as an OSError of the input stream."""
    try:
        return request.stream.read(num_bytes)
    except OSError as error:
        raise RequestError("The request body is malformed or ended early.") from error


def _too_large(max_bytes: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"The request body is larger than {max_bytes} bytes.")
