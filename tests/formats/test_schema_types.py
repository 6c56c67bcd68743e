from __future__ import annotations

from typing import Any

import pytest

from cria.formats.schema_types import argument_names, argument_texts, argument_types, type_name


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({"type": "string"}, {"string"}),
        ({"type": ["string", "null"]}, {"string", "null"}),
        ({"enum": ["a", 1]}, {"string", "integer"}),
        ({"const": True}, {"boolean"}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"string", "null"}),
        ({"anyOf": [{"type": "string"}, {}]}, set()),
        ({"allOf": [{}, {"type": "object"}]}, {"object"}),
        ({"$ref": "#/$defs/City"}, {"string"}),
        ({"$ref": "#/$defs/Loop"}, set()),
        ({"$ref": "#/$defs/Nothing"}, set()),
        ({"$ref": 5}, set()),
        ({}, set()),
        (True, set()),
        ({"type": "strange"}, set()),
    ],
)
def test_the_types_of_an_argument(schema: Any, types: set[str]) -> None:
    root = {
        "properties": {"key": schema},
        "$defs": {"City": {"type": "string"}, "Loop": {"$ref": "#/$defs/Loop"}},
    }
    assert argument_types(root, "key") == types


@pytest.mark.parametrize("schema", [{}, {"properties": []}, {"properties": {"other": {}}}])
def test_an_argument_without_a_schema(schema: Any) -> None:
    assert argument_types(schema, "key") == set()


def test_many_references_in_a_circle_are_followed_once() -> None:
    loops = {
        f"A{n}": {"anyOf": [{"$ref": f"#/$defs/A{m}"} for m in range(100)]} for n in range(100)
    }
    root = {"properties": {"key": {"$ref": "#/$defs/A0"}}, "$defs": loops}
    assert argument_types(root, "key") == set()
    loops["A7"]["anyOf"] = [{"type": "null"}]
    assert argument_types(root, "key") == {"null"}


def test_names_and_texts_of_arguments() -> None:
    values = {"anyOf": [{"enum": ["a", 1]}, {"const": "b"}, {"type": "string"}]}
    schema = {"properties": {"k": values, "l": {"items": [{"const": "c"}]}}}
    assert argument_names(schema) == ["k", "l"] and argument_names({"properties": 5}) == []
    assert argument_texts(schema, "k") == {"a", "b"} and argument_texts(schema, "m") == set()


def test_names() -> None:
    values = ["", True, 1, 1.5, None, [], {}]
    names = ["string", "boolean", "integer", "number", "null", "array", "object"]
    assert list(map(type_name, values)) == names
