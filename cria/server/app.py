"""The Flask application: routes, who may ask, and one envelope for every failure.

1. Order of a request: host, origin, key, route, method, body. Only the routes look at the body.
2. Every answer has the headers of `headers`; every failure is OpenAI's error object, or
   Anthropic's for those who speak with its API (`dialect`).
3. No redirects: a trailing slash or a missing `/v1` is answered as if it were right, because
   clients lose the body on the way.
"""

from __future__ import annotations

import logging

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server.answers import json_response
from cria.server.anthropic_errors import anthropic_error, anthropic_framework_error
from cria.server.auth import check_key, is_open, may_use_any, names_no_model
from cria.server.dialect import speaks_anthropic
from cria.server.errors import (
    error_body,
    error_headers,
    failure_of,
    framework_error_body,
    framework_headers,
    is_expected,
)
from cria.server.headers import add_headers, check_client_id, current_id, start_clock
from cria.server.hosts import check_host, check_origin, cors_headers, preflight_headers
from cria.server.key_ring import KeyRing
from cria.server.limit_headers import tell_limits
from cria.server.routes import (
    adapters,
    anthropic,
    chat,
    completions,
    describing,
    embeddings,
    fim,
    health,
    managing,
    props,
    rerank,
    responses,
    score,
    slots,
    stored_responses,
    tokens,
)
from cria.server.routes import (
    models as models_route,
)

logger = logging.getLogger(__name__)

RESOURCES = (
    adapters,
    anthropic,
    chat,
    completions,
    describing,
    embeddings,
    fim,
    health,
    managing,
    models_route,
    props,
    rerank,
    responses,
    score,
    slots,
    stored_responses,
    tokens,
)


def create_app(models: ModelPool, config: ServerConfig) -> Flask:
    """The WSGI application over some models; it keeps no state of its own."""
    app = Flask("cria", static_folder=None)
    app.url_map.merge_slashes = False
    for resource in RESOURCES:
        for prefix in ("/v1", ""):
            blueprint = resource.make_blueprint(models, config)
            app.register_blueprint(blueprint, url_prefix=prefix, name=blueprint.name + prefix)
    _guard(app, models, config)
    tell_limits(app, models.limits, config)
    app.register_error_handler(HTTPException, answer_framework_error)
    app.register_error_handler(Exception, answer_error)
    app.after_request(add_headers)
    return app


def _guard(app: Flask, models: ModelPool, config: ServerConfig) -> None:
    ring = app.extensions["cria_keys"] = KeyRing(config)

    @app.before_request
    def check_caller() -> Response | None:
        start_clock()
        check_host(request.headers, config)
        check_origin(request.method, request.headers, config)
        if preflight := preflight_headers(request.method, request.headers, config):
            return Response(status=204, headers=preflight)
        if not is_open(request.path):
            g.cria_key = check_key(request.headers, ring)
            if names_no_model(request.path):
                may_use_any(models.names())
        check_client_id()
        return None

    @app.after_request
    def let_listed_pages_read(response: Response) -> Response:
        response.headers.update(cors_headers(request.headers, config))
        return response


def answer_framework_error(error: HTTPException) -> Response:
    """404, 405, 413 and their like."""
    if speaks_anthropic(request):
        body = anthropic_framework_error(error, request.method, request.path, current_id())
    else:
        body = framework_error_body(error, request.method, request.path)
    response = json_response(body, error.code or 500)
    response.headers.update(framework_headers(error))
    return response


def answer_error(error: Exception) -> Response:
    """Everything else; what nobody raised on purpose is logged with its traceback."""
    if not is_expected(error):
        logger.error("%s %s failed", request.method, request.path, exc_info=error)
    failure = failure_of(error)
    if speaks_anthropic(request):
        status, body = anthropic_error(error, current_id())
    else:
        status, body = failure.status, error_body(error)
    response = json_response(body, status)
    response.headers.update(error_headers(error))
    return response
