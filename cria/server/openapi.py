"""The OpenAPI 3.1 document, from the application's own routes and the Structs of their bodies.

1. Every rule of the URL map whose view has a description (`operations`) is in it, by its shortest
   path; the `/v1` of the others is a server's URL. `undescribed` names the views that have none.
2. Schemas are msgspec's: the same types that check the requests, with the strings below their
   fields as descriptions. Fields that are refused by name,
   and those that are checked and change nothing, are listed beside the properties.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from flask import Flask
from werkzeug.routing import Rule

from cria import __version__
from cria.api.errors import ErrorBody
from cria.server.auth import is_open
from cria.server.field_docs import field_docs, structs_in
from cria.server.operations import Operation, operation_of

PREFIX = "/v1"
REFUSED, NOTED = "x-cria-refused", "x-cria-noted"
"""Extensions of a request's schema: lists of names."""

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/{name}"
_ANSWER_HEADERS = {
    "x-request-id": "The caller's `X-Request-Id`, or a fresh id.",
    "openai-processing-ms": "Milliseconds until the headers were ready.",
    "openai-version": "The version of OpenAI's API that this is like.",
    "x-cria-warnings": "Paths of fields that are unknown or change nothing, if there are any.",
}
_REQUEST_HEADERS = {
    "X-Request-Id": "An id for this request: 1 to 128 letters, digits, dots, dashes, underscores.",
    "X-Client-Request-Id": "A further one for the server's log: up to 512 ASCII characters.",
    "x-cria-strict": "1: unknown fields are errors.",
}
_ABOUT = (
    "Local llama models behind the OpenAI API. All routes work with and without `/v1`, and with a "
    "trailing slash. `null` is the same as an absent field. A field that cannot be honoured is an "
    "error that names it; an unknown one is listed in the header `x-cria-warnings`."
)


class Route(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    arguments: tuple[str, ...]
    id: str
    tag: str
    operation: Operation


def make_document(app: Flask, *, needs_key: bool) -> Json:
    """The whole document, ready to be encoded; `needs_key` if the server has keys."""
    routes = list(described_routes(app))
    schemas, components = _schemas(routes)
    key: Json = {"bearer": []}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cria", "version": __version__, "description": _ABOUT},
        "servers": [{"url": PREFIX}, {"url": "/"}],
        "security": [key] if needs_key else [{}, key],
        "paths": _paths(routes, schemas),
        "components": {
            "schemas": components,
            "responses": {"Error": _failure(schemas[ErrorBody])},
            "parameters": {name: _header(name, about) for name, about in _REQUEST_HEADERS.items()},
            "headers": {
                name: {"description": about, "schema": {"type": "string"}}
                for name, about in _ANSWER_HEADERS.items()
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def described_routes(app: Flask) -> Iterator[Route]:
    """The routes without the prefix, in the order of their paths."""
    for rule in sorted(_plain_rules(app), key=lambda rule: rule.rule):
        operation = operation_of(app.view_functions[rule.endpoint])
        if operation is None:
            continue
        tag, _, name = rule.endpoint.rpartition(".")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            arguments = tuple(sorted(rule.arguments))
            yield Route(method.lower(), path, arguments, name, tag, operation)


def undescribed(app: Flask) -> set[str]:
    """The endpoints that the document leaves out."""
    views = app.view_functions
    return {
        rule.endpoint for rule in app.url_map.iter_rules() if not operation_of(views[rule.endpoint])
    }


def _plain_rules(app: Flask) -> list[Rule]:
    return [r for r in app.url_map.iter_rules() if not r.rule.startswith(PREFIX + "/")]


def _schemas(routes: list[Route]) -> tuple[dict[Any, Json], Json]:
    """What stands for each type in the document, and the components that it refers to."""
    operations = [route.operation for route in routes]
    requests = {op.request for op in operations if op.request is not None}
    answers = [op.answer for op in operations if op.answer is not None]
    failures = [kind for op in operations for kind in op.failures.values()]
    types = list(dict.fromkeys([*sorted(requests, key=str), *answers, *failures, ErrorBody]))
    found, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS)
    schemas = dict(zip(types, found, strict=True))
    _describe_fields(types, components)
    for kind in requests:
        component = components[schemas[kind]["$ref"].rpartition("/")[2]]
        # A request may refuse a field of the one that it is like.
        for name in set(kind.UNSUPPORTED) & set(component["properties"]):
            del component["properties"][name]
        component[REFUSED] = sorted(kind.UNSUPPORTED)
        component[NOTED] = sorted(kind.NOTED)
    return schemas, dict(sorted(components.items()))


def _describe_fields(types: list[Any], components: Json) -> None:
    for kind in structs_in(types):
        for properties in _properties_of(kind, components):
            for name, text in field_docs(kind).items():
                properties[name]["description"] = text


def _properties_of(kind: type[msgspec.Struct], components: Json) -> Iterator[Json]:
    """By title and fields: the component's name has the module in it if two Structs share one."""
    for component in components.values():
        properties = component.get("properties", {})
        fields = set(kind.__struct_encode_fields__)
        if component.get("title") == kind.__name__ and fields <= set(properties):
            yield properties


def _paths(routes: list[Route], schemas: dict[Any, Json]) -> Json:
    paths: Json = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method] = _operation(route, schemas)
    return paths


def _operation(route: Route, schemas: dict[Any, Json]) -> Json:
    about = route.operation
    found: Json = {
        "operationId": route.id,
        "summary": about.summary,
        "tags": [route.tag],
        "parameters": _parameters(route),
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": _answer_headers(),
                "content": _content(about, schemas),
            },
            "4XX": {"$ref": "#/components/responses/Error"},
            "5XX": {"$ref": "#/components/responses/Error"},
            **{status: _failure(schemas[kind]) for status, kind in about.failures.items()},
        },
    }
    if about.request is not None:
        body = {"application/json": {"schema": schemas[about.request]}}
        found["requestBody"] = {"required": True, "content": body}
    if is_open(route.path):
        found["security"] = []
    return found


def _content(about: Operation, schemas: dict[Any, Json]) -> Json:
    content: Json = {}
    if about.answer is not None:
        content[about.media_type] = {"schema": schemas[about.answer]}
    elif not about.streams:
        content[about.media_type] = {}
    if about.streams:
        events = {"type": "string", "description": about.events}
        content["text/event-stream"] = {"schema": events}
    return content


def _parameters(route: Route) -> list[Json]:
    text = {"type": "string"}
    return [
        *({"name": n, "in": "path", "required": True, "schema": text} for n in route.arguments),
        *(
            {"name": name, "in": "query", "description": about, "schema": text}
            for name, about in route.operation.query.items()
        ),
        *({"$ref": f"#/components/parameters/{name}"} for name in _REQUEST_HEADERS),
    ]


def _header(name: str, about: str) -> Json:
    return {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}


def _answer_headers() -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in _ANSWER_HEADERS}


def _failure(schema: Json) -> Json:
    return {
        "description": "What went wrong.",
        "headers": _answer_headers(),
        "content": {"application/json": {"schema": schema}},
    }
