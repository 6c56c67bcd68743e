"""Which JSON types a schema allows, as far as it says so plainly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 8
"""Of references and alternatives: schemas can refer to themselves."""

_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null",
          list: "array", dict: "object"}  # fmt: skip


def argument_types(schema: Mapping[str, Any], key: str) -> frozenset[str]:
    """Of one argument; none if the schema does not say."""
    properties = _mapping(_mapping(schema).get("properties"))
    return _types(properties.get(key), schema, MAX_DEPTH)


def _types(schema: object, root: Mapping[str, Any], depth: int) -> frozenset[str]:
    schema = _mapping(schema)
    if not depth or not schema:
        return frozenset()
    if "$ref" in schema:
        return _types(_resolve(schema["$ref"], root), root, depth - 1)
    if "type" in schema:
        named = schema["type"]
        return frozenset(n for n in (named if isinstance(named, list) else [named]) if _is_name(n))
    if "const" in schema:
        return frozenset({type_name(schema["const"])})
    if isinstance(schema.get("enum"), list):
        return frozenset(map(type_name, schema["enum"]))
    return _alternatives(schema, root, depth - 1)


def _alternatives(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> frozenset[str]:
    for word in ("anyOf", "oneOf", "allOf"):
        schemas = schema.get(word)
        if isinstance(schemas, list) and schemas:
            found = [_types(one, root, depth) for one in schemas]
            known = [types for types in found if types]
            if word == "allOf":
                return known[0] if known else frozenset()
            # One alternative that says nothing allows everything.
            return frozenset().union(*known) if len(known) == len(found) else frozenset()
    return frozenset()


def type_name(value: object) -> str:
    """What JSON Schema calls the type of this value."""
    return _NAMES[type(value)]


def _is_name(name: object) -> bool:
    return name in _NAMES.values()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _resolve(reference: object, root: Mapping[str, Any]) -> object:
    found: object = root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    for part in reference[2:].split("/"):
        found = _mapping(found).get(part.replace("~1", "/").replace("~0", "~"))
    return found
