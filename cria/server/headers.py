"""The headers that every answer has, and the ids by which a request can be found in logs."""

from __future__ import annotations

import logging
import re
import time
import uuid

from flask import Response, g, request

from cria.errors import RequestError
from cria.server.body import warnings_header
from cria.server.dialect import speaks_anthropic

logger = logging.getLogger(__name__)

VERSION_HEADER = ("openai-version", "2020-10-01")
CLIENT_ID = "X-Client-Request-Id"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CLIENT_ID = re.compile(r"[ -~]{1,512}")


def start_clock() -> None:
    """The first thing that is done with a request."""
    g.cria_started = time.perf_counter()


def check_client_id() -> None:
    """RequestError for a client's own id that is no plain ASCII or too long, as OpenAI has it."""
    if not _CLIENT_ID.fullmatch(request.headers.get(CLIENT_ID) or "-"):
        raise RequestError(
            f"Invalid '{CLIENT_ID}': expected 1 to 512 printable ASCII characters.",
            param=CLIENT_ID,
            code="invalid_value",
        )


def add_headers(response: Response) -> Response:
    """On every answer, failures and streams too; the time is until here, not to a stream's end."""
    own_id = current_id()
    _log_client_id(own_id)
    response.headers["x-request-id"] = own_id
    if speaks_anthropic(request):
        response.headers["request-id"] = own_id
    response.headers["openai-processing-ms"] = _elapsed_ms()
    response.headers.set(*VERSION_HEADER)
    if warnings := g.get("cria_warnings"):
        response.headers["x-cria-warnings"] = warnings_header(warnings)
    return response


def current_id() -> str:
    """The id of the request that is being answered, the same whenever it is asked for."""
    if "cria_request_id" not in g:
        g.cria_request_id = request_id(request.headers.get("X-Request-Id", ""))
    found: str = g.cria_request_id
    return found


def request_id(sent: str) -> str:
    """The caller's own id if it is harmless in a header and a log, else a fresh one."""
    return sent if _REQUEST_ID.fullmatch(sent) else f"req_{uuid.uuid4().hex}"


def _elapsed_ms() -> str:
    return str(round((time.perf_counter() - g.cria_started) * 1000))


def _log_client_id(own_id: str) -> None:
    client_id = request.headers.get(CLIENT_ID, "")
    if _CLIENT_ID.fullmatch(client_id):
        logger.debug("request %s is the client's %s", own_id, client_id)
