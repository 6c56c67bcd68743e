"""Schemas that refer to themselves and never come to a value, such as `{"$ref": "#"}`.

llguidance takes them, and finds out in the middle of an answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

DATA = frozenset({"enum", "const", "default", "examples"})
"""Keywords whose values are no schemas."""


def is_endless(root: dict[str, Any]) -> bool:
    """Whether a schema in `root` is fulfilled only if it is fulfilled itself.

    Found out from the other end, in linear time: a schema is grounded once each of its clauses has
    an alternative that is; what refers to nothing is so from the start. References to what is not
    in `root` are for others to refuse.
    """
    schemas = {id(schema): schema for schema in _objects(root)}
    open_clauses: dict[int, int] = {}
    waiting: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    grounded = []
    for key, schema in schemas.items():
        clauses = [each for each in _clauses(schema, root) if all(id(s) in schemas for s in each)]
        open_clauses[key] = len(clauses)
        for number, alternatives in enumerate(clauses):
            for each in alternatives:
                waiting[id(each)].append((key, number))
        if not clauses:
            grounded.append(key)
    fulfilled = set()
    for key in grounded:  # which grows
        for clause in waiting[key]:
            if clause in fulfilled:
                continue
            fulfilled.add(clause)
            open_clauses[clause[0]] -= 1
            if not open_clauses[clause[0]]:
                grounded.append(clause[0])
    return len(grounded) < len(schemas)


def _clauses(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[list[Any]]:
    """Of each clause one alternative has to hold, for the same value as the schema itself."""
    if isinstance(schema.get("$ref"), str):
        yield [_target(root, schema["$ref"])]
    if isinstance(schema.get("allOf"), list):
        yield from ([each] for each in schema["allOf"])
    for name in ("anyOf", "oneOf"):
        if isinstance(schema.get(name), list) and schema[name]:
            yield schema[name]


def _target(root: dict[str, Any], reference: str) -> object:
    """Where a JSON pointer leads; None if to nothing."""
    if not reference.startswith("#"):
        return None
    found: Any = root
    for part in unquote(reference[1:]).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def _objects(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every object that may be a schema."""
    waiting: list[Any] = [root]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += (value for name, value in each.items() if name not in DATA)
        elif isinstance(each, list):
            waiting += each
