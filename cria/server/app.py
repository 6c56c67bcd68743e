"""The Flask application: routes, who may ask, and one envelope for every failure.

1. Order of a request: origin, key, route, method, body. Only the routes look at the body.
2. Every answer carries `x-request-id`; every failure is the OpenAI error object.
3. No redirects: a trailing slash or a missing `/v1` is answered as if it were right, because
   clients lose the body on the way.
"""

from __future__ import annotations

import logging
import re
import uuid

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from cria.config import ServerConfig
from cria.generation.pipeline import Generation
from cria.server.answers import json_response
from cria.server.auth import check_key, check_origin, is_open
from cria.server.body import warnings_header
from cria.server.errors import (
    error_body,
    failure_of,
    framework_error_body,
    framework_headers,
    is_expected,
)
from cria.server.routes import chat, completions, embeddings, fim, health, models, rerank, score

logger = logging.getLogger(__name__)

RESOURCES = (chat, completions, embeddings, fim, health, models, rerank, score)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def create_app(generation: Generation, config: ServerConfig) -> Flask:
    """The WSGI application over one generation; it keeps no state of its own."""
    app = Flask("cria", static_folder=None)
    app.url_map.merge_slashes = False
    for resource in RESOURCES:
        for prefix in ("/v1", ""):
            blueprint = resource.make_blueprint(generation, config)
            app.register_blueprint(blueprint, url_prefix=prefix, name=blueprint.name + prefix)
    _guard(app, config)
    app.register_error_handler(HTTPException, answer_framework_error)
    app.register_error_handler(Exception, answer_error)
    app.after_request(add_headers)
    return app


def _guard(app: Flask, config: ServerConfig) -> None:
    @app.before_request
    def check_caller() -> None:
        check_origin(request.headers)
        if not is_open(request.path):
            check_key(request.headers, config.api_keys)


def answer_framework_error(error: HTTPException) -> Response:
    """404, 405, 413 and their like."""
    body = framework_error_body(error, request.method, request.path)
    response = json_response(body, error.code or 500)
    response.headers.update(framework_headers(error))
    return response


def answer_error(error: Exception) -> Response:
    """Everything else; what nobody raised on purpose is logged with its traceback."""
    if not is_expected(error):
        logger.error("%s %s failed", request.method, request.path, exc_info=error)
    failure = failure_of(error)
    response = json_response(error_body(error), failure.status)
    response.headers.update(failure.headers)
    return response


def add_headers(response: Response) -> Response:
    """On every answer, failures and streams too."""
    response.headers["x-request-id"] = request_id(request.headers.get("X-Request-Id", ""))
    if warnings := g.get("cria_warnings"):
        response.headers["x-cria-warnings"] = warnings_header(warnings)
    return response


def request_id(sent: str) -> str:
    """The caller's own id if it is harmless in a header and a log, else a fresh one."""
    return sent if _REQUEST_ID.fullmatch(sent) else f"req_{uuid.uuid4().hex}"
