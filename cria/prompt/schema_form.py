"""Schemas of tools in the plainest form, for templates that fail with others.

Some templates write a tool's schema as Python or TypeScript, and know of the language of schemas
what their models were trained with: `"type": ["string", "null"]` is too much for a few.
"""

from __future__ import annotations

from typing import Any

_OF_ONE = ("items", "additionalProperties")
_OF_MANY = ("anyOf", "oneOf", "allOf")


def with_plain_schemas(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same tools: a type is one word, a description text, and an object has properties."""
    return [
        tool | {"function": function | {"parameters": _arguments(function.get("parameters"))}}
        for tool in tools
        for function in [tool["function"]]
    ]


def _arguments(schema: Any) -> dict[str, Any]:
    return _plain({"type": "object"} | (schema if isinstance(schema, dict) else {}))


def _plain(schema: Any) -> dict[str, Any]:
    """`true`, which takes anything, is an empty schema."""
    if not isinstance(schema, dict):
        return {"description": ""}
    plain: dict[str, Any] = {"description": ""} | schema
    plain["description"] = _text(schema.get("description"))
    plain["type"] = _plain_type(schema.get("type"))
    if plain["type"] == "object":
        plain = {"properties": {}, "required": [], "additionalProperties": {}} | plain
    if isinstance(plain.get("properties"), dict):
        plain["properties"] = {name: _plain(one) for name, one in plain["properties"].items()}
    for key in _OF_ONE:
        if isinstance(plain.get(key), dict):
            plain[key] = _plain(plain[key]) if plain[key] else {}
    for key in _OF_MANY:
        if isinstance(plain.get(key), list):
            plain[key] = [_plain(one) for one in plain[key]]
    return plain


def _plain_type(kind: Any) -> str:
    """The first one, but for null, which templates take for the lack of a value."""
    kinds = [each for each in (kind if isinstance(kind, list) else [kind]) if each != "null"]
    return kinds[0] if kinds and isinstance(kinds[0], str) else "string"


def _text(description: Any) -> str:
    return "" if description is None else str(description)
