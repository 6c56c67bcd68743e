"""The OpenAPI document as one page for a person: no scripts, nothing from elsewhere."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import Environment

from cria.server.openapi import NOTED, REFUSED

Schema = dict[str, Any]

HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}

_RANGES = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} character(s)",
    "maxLength": "at most {} characters",
    "minItems": "at least {} item(s)",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} keys",
}

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ info.title }} {{ info.version }}</title>
<style>
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: .2em 1em .2em 0; }
tr { border-bottom: 1px solid #ccc; }
</style>
</head>
<body>
<h1>{{ info.title }} {{ info.version }}</h1>
<p>{{ info.description }}</p>
<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>
<h2>Routes</h2>
<table>
<tr><th>route</th><th></th><th>takes</th><th>answers</th></tr>
{%- for route in routes %}
<tr><td><code>{{ route.method }} {{ route.path }}</code></td><td>{{ route.summary }}</td>
<td>{{ linked(route.request) }}</td><td>{{ linked(route.answer) }}</td></tr>
{%- endfor %}
</table>
<h2>Objects</h2>
{%- for name, schema in schemas.items() %}
<h3 id="{{ name }}">{{ name }}</h3>
{%- if schema.description %}
<p>{{ schema.description }}</p>
{%- endif %}
<table>
{%- for field, about in schema.properties.items() %}
<tr><td><code>{{ field }}</code></td><td>{{ words(about) }}</td>
<td>{{ default_of(schema, field) }}</td><td>{{ about.description or "" }}</td></tr>
{%- endfor %}
</table>
{%- if schema[noted] %}
<p>Checked, and without effect: {{ schema[noted] | join(", ") }}.</p>
{%- endif %}
{%- if schema[refused] %}
<p>Refused, unless they ask for nothing: {{ schema[refused] | join(", ") }}.</p>
{%- endif %}
{%- endfor %}
</body>
</html>
"""
_LINKED = """\
{% macro linked(name) %}{% if name %}<a href="#{{ name }}">{{ name }}</a>{% endif %}{% endmacro %}
"""

_environment = Environment(autoescape=True)
_page = _environment.from_string(_LINKED + _PAGE)


def make_page(document: Schema) -> str:
    """HTML; every text in it is escaped."""
    return _page.render(
        info=document["info"],
        routes=[
            _route(method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ],
        schemas=document["components"]["schemas"],
        words=words,
        default_of=default_of,
        noted=NOTED,
        refused=REFUSED,
    )


def words(schema: Schema) -> str:
    """A type and its range, for a person."""
    if "anyOf" in schema:
        return " or ".join(words(each) for each in schema["anyOf"] if each != {"type": "null"})
    if "$ref" in schema:
        return _name_of(schema)
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type", "anything")
    if "prefixItems" in schema:
        kind += f" of ({'; '.join(words(each) for each in schema['prefixItems'])})"
    elif "items" in schema:
        kind += f" of ({words(schema['items'])})"
    ranges = [text.format(schema[key]) for key, text in _RANGES.items() if key in schema]
    return ", ".join([kind, *ranges])


def default_of(schema: Schema, field: str) -> str:
    """What a field is if it is left out."""
    if field in schema.get("required", ()):
        return "required"
    default = schema["properties"][field].get("default")
    return "" if default is None else f"default {json.dumps(default)}"


def _route(method: str, path: str, operation: Schema) -> dict[str, str]:
    body = operation.get("requestBody", {}).get("content", {})
    answers = operation["responses"]["200"]["content"]
    return {
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "request": _name_of_content(body),
        "answer": _name_of_content(answers),
    }


def _name_of_content(content: Schema) -> str:
    return _name_of(content.get("application/json", {}).get("schema", {}))


def _name_of(schema: Schema) -> str:
    """The component that the schema, or that of its items, refers to."""
    reference: str = (schema.get("items") or schema).get("$ref", "")
    return reference.rpartition("/")[2]
