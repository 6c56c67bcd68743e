from __future__ import annotations

from typing import Any

import pytest

from cria.formats.schema_parts import merged, standalone, without_text

A, B = {"type": "string"}, {"type": "integer"}


def test_all_parts_hold_at_once() -> None:
    schema = {"properties": {"a": A}, "allOf": [{"properties": {"b": B}, "required": ["b"]}]}
    (whole,) = merged(schema, schema)
    assert whole["properties"] == {"a": A, "b": B} and whole["required"] == ["b"]


def test_one_of_the_choices_holds() -> None:
    schema = {"properties": {"a": A}, "anyOf": [{"required": ["a"]}, {"properties": {"b": B}}]}
    first, second = merged(schema, schema)
    assert first["required"] == ["a"] and list(second["properties"]) == ["a", "b"]


def test_a_required_property_without_a_schema_takes_anything() -> None:
    (whole,) = merged({"required": ["z"]}, {})
    assert whole["properties"] == {"z": {}}


def test_references_are_followed() -> None:
    root: dict[str, Any] = {"$defs": {"o": {"properties": {"a": A}}}}
    (whole,) = merged({"$ref": "#/$defs/o"}, root)
    assert whole["properties"] == {"a": A}


@pytest.mark.parametrize(
    ("schema", "types", "left"),
    [
        ({"enum": ["a", 1]}, {"string", "integer"}, {"enum": [1]}),
        ({"const": "a"}, {"string"}, None),
        ({"type": "string"}, {"string"}, None),
        ({"type": ["string", "null"]}, {"string", "null"}, {"type": "null"}),
    ],
)
def test_a_schema_without_its_strings(schema: Any, types: set[str], left: Any) -> None:
    assert without_text(schema, frozenset(types)) == left


def test_a_part_takes_along_what_it_refers_to() -> None:
    root = {"$defs": {"n": B}, "properties": {"a": A, "b": {"$ref": "#/properties/a"}}}
    assert standalone(A, root) == A
    assert standalone({"$ref": "#/$defs/n"}, root)["$defs"] == {"n": B}
    moved = standalone({"$ref": "#/properties/a"}, root)
    assert moved["$ref"] == "#/$defs/root/properties/a"
    assert moved["$defs"]["root"]["properties"]["a"] == A
