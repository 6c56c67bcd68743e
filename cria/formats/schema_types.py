"""What a schema says plainly: of which alternatives one must hold, and of which JSON types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_REFERENCES = 8
"""That lead to each other."""

_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null",
          list: "array", dict: "object"}  # fmt: skip


def argument_names(schema: Mapping[str, Any]) -> list[str]:
    """Those that the schema knows."""
    return list(_mapping(_mapping(schema).get("properties")))


def argument_types(schema: Mapping[str, Any], key: str) -> frozenset[str]:
    """Of one argument; none if the schema does not say."""
    properties = _mapping(_mapping(schema).get("properties"))
    found = [own_types(leaf, schema) for leaf in leaves(properties.get(key), schema)]
    # One alternative that says nothing allows everything.
    return frozenset().union(*found) if all(found) else frozenset()


def argument_texts(schema: Mapping[str, Any], key: str) -> frozenset[str]:
    """The texts that one argument may be by name."""
    properties = _mapping(_mapping(schema).get("properties"))
    values = (values_of(leaf) or [] for leaf in leaves(properties.get(key), schema))
    return frozenset(value for some in values for value in some if isinstance(value, str))


def leaves(schema: object, root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of which one must hold, references and alternatives followed; each once.

    Schemas may refer to themselves, and to others more often than could be followed every time.
    """
    found: list[Mapping[str, Any]] = []
    seen, pending = set(), [schema]
    while pending:
        one = resolved(pending.pop(), root)
        if id(one) in seen:
            continue
        seen.add(id(one))
        inner = _alternatives(one)
        pending += reversed(inner)
        if not inner:
            found.append(one)
    return found or [{}]


def own_types(schema: Mapping[str, Any], root: Mapping[str, Any]) -> frozenset[str]:
    """Of a schema without alternatives; none if it does not say."""
    if "type" in schema:
        named = schema["type"]
        return frozenset(n for n in (named if isinstance(named, list) else [named]) if _is_name(n))
    values = values_of(schema)
    if values is not None:
        return frozenset(map(type_name, values))
    parts = (resolved(part, root) for part in _list(schema.get("allOf")))
    return next((own_types(part, root) for part in parts if "type" in part), frozenset())


def values_of(schema: Mapping[str, Any]) -> list[Any] | None:
    """Those of which one it must be; None for any."""
    if "const" in schema:
        return [schema["const"]]
    return schema["enum"] if isinstance(schema.get("enum"), list) else None


def resolved(schema: object, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to; nothing if to nothing."""
    for _ in range(MAX_REFERENCES):
        schema = _mapping(schema)
        if "$ref" not in schema:
            return schema
        schema = _target(schema["$ref"], root)
    return {}


def type_name(value: object) -> str:
    """What JSON Schema calls the type of this value."""
    return _NAMES[type(value)]


def _alternatives(schema: Mapping[str, Any]) -> list[Any]:
    if {"type", "enum", "const"} & schema.keys():
        return []
    every = _list(schema.get("allOf"))
    either = _list(schema.get("anyOf")) or _list(schema.get("oneOf"))
    return either or (every if len(every) == 1 else [])


def _is_name(name: object) -> bool:
    return name in _NAMES.values()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _target(reference: object, root: Mapping[str, Any]) -> object:
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: object = root
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            found = _mapping(found).get(name)
    return found
