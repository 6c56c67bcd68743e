"""GET /openapi.json, and the same as a page: GET /docs, GET /."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, current_app

from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server import docs_page
from cria.server.answers import json_response
from cria.server.key_ring import needs_key
from cria.server.openapi import Json, make_document
from cria.server.operations import Operation, describe

DOCUMENT = "cria_openapi"
HTML = "text/html"
PAGE = Operation("Show this description as a page.", media_type=HTML)


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("describing", __name__)

    def document() -> Json:
        known = current_app.extensions
        if DOCUMENT not in known:  # made once, and not at start-up: it takes a moment
            known[DOCUMENT] = make_document(current_app, needs_key=needs_key(config))
        made: Json = known[DOCUMENT]
        return made

    @blueprint.get("/openapi.json", strict_slashes=False)
    @describe(Operation("Describe all routes as OpenAPI 3.1.", answer=dict))
    def openapi() -> Response:
        return json_response(msgspec.json.encode(document()))

    @blueprint.get("/docs", strict_slashes=False)
    @describe(PAGE)
    def docs() -> Response:
        return page()

    @blueprint.get("/", strict_slashes=False)
    @describe(PAGE)
    def home() -> Response:
        return page()

    def page() -> Response:
        text = docs_page.make_page(document())
        return Response(text, headers=docs_page.HEADERS, content_type=f"{HTML}; charset=utf-8")

    return blueprint
