"""Schemas made of the parts of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cria.formats.schema_types import resolved, values_of

_OTHER_TYPES = ("number", "boolean", "null", "array", "object")
_SHARED = ("$defs", "definitions")
_ROOT = "root"
_DATA = frozenset({"enum", "const", "default", "examples"})
"""Keywords whose values are no schemas."""


def merged(schema: object, root: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects of which one must hold, each with all that its parts say of properties."""
    base = dict(resolved(schema, root))
    for part in base.get("allOf") or ():
        base = _both(base, resolved(part, root))
    options = base.get("anyOf") or base.get("oneOf") or ()
    return [_both(base, resolved(option, root)) for option in options] or [_both(base, {})]


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    required = list(dict.fromkeys([*one.get("required", ()), *other.get("required", ())]))
    properties = {**one.get("properties", {}), **other.get("properties", {})}
    unnamed = {**one, **other}.get("additionalProperties", {})
    if unnamed is not False:
        properties |= {name: unnamed for name in required if name not in properties}
    return {**one, **other, "properties": properties, "required": required}


def without_text(schema: Mapping[str, Any], types: frozenset[str]) -> dict[str, Any] | None:
    """The same without the strings; None if nothing is left. `types` are those of the schema."""
    values = values_of(schema)
    if values is not None:
        others = [value for value in values if not isinstance(value, str)]
        return {"enum": others} if others else None
    if types == {"string"}:
        return None
    left = [name for name in sorted(types) or _OTHER_TYPES if name != "string"]
    return {**schema, "type": left[0] if len(left) == 1 else left}


def standalone(schema: object, root: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of its own, with all of `root` that it may refer to."""
    whole = dict(schema) if isinstance(schema, Mapping) else {"allOf": [schema]}
    references = set(_references([whole, *(root.get(name) for name in _SHARED)]))
    if not references:
        return whole
    if all(text.startswith(("#/$defs/", "#/definitions/")) for text in references):
        return {name: root[name] for name in _SHARED if name in root} | whole
    # Others lead through the whole document, which is then one of the shared schemas.
    return {**_moved(whole), "$defs": {_ROOT: _moved(root)}}


def _references(schema: Any) -> list[str]:
    found, pending = [], [schema]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            pending += one.values()
            found += [one["$ref"]] if isinstance(one.get("$ref"), str) else []
        elif isinstance(one, list):
            pending += one
    return found


def _moved(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_moved(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    moved = {key: each if key in _DATA else _moved(each) for key, each in schema.items()}
    if isinstance(moved.get("$ref"), str):
        moved["$ref"] = f"#/$defs/{_ROOT}" + moved["$ref"].removeprefix("#")
    return moved
