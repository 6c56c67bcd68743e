"""No document that a schema forbids comes through: a sample, judged by `jsonschema`."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from cria.constraint import sources
from cria.constraint.sources import GrammarError
from tests.constraint.byte_grammars import make_compiler, takes

DOCUMENTS: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 7, 10, 1.5, 0.01, -3.5, 1e10, "", "a", "ab", "abc", "foo",
    "é", "🙂", "12", "2024-02-30", "2024-02-29", "12:30:00Z", "2024-02-29T12:30:00Z", "a@b.example",
    "127.0.0.1", "256.1.1.1", "::1", "5b0d3b5e-0d3b-4b5e-8d3b-5b0d3b5e0d3b", [], [1], [1, 1],
    [1, 2], [1, "a"], ["a"], ["a", 1], [1, 2, 3], [None], [[1]], [[[]]], [{}], {}, {"a": 1},
    {"a": "x"}, {"a": None}, {"b": 1}, {"b": "x"}, {"a": 1, "b": 2}, {"a": "x", "b": "y"},
    {"a": 1, "b": 2, "c": 3}, {"foo": "bar"}, {"a": {"a": 1}}, {"a": {"a": {}}}, {"a": [1]},
    {"next": None}, {"next": {"next": None}}, {"next": 5}, {"x1": 1}, {"x1": "y"}, {"": 1},
]  # fmt: skip

OBJECT = {"type": "object"}
AB = {"a": {"type": "integer"}, "b": {"type": "string"}}
LIST = {"$ref": "#/$defs/n", "$defs": {"n": {
    "type": "object", "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/n"}]}},
    "required": ["next"], "additionalProperties": False}}}  # fmt: skip
ACCEPTED: list[Any] = [
    True, {}, OBJECT, {"type": "string"}, {"type": "integer"}, {"type": "number"},
    {"type": "boolean"}, {"type": "null"}, {"type": "array"}, {"type": ["string", "null"]},
    {"const": "a"}, {"const": 1}, {"const": {"a": 1}}, {"const": [1, 2]}, {"const": None},
    {"enum": ["a", 1, None]}, {"enum": [{"a": 1}, []]}, {"minLength": 2}, {"maxLength": 1},
    {"type": "string", "minLength": 1, "maxLength": 2}, {"type": "string", "pattern": "^a"},
    {"type": "string", "pattern": "b"}, {"pattern": "^[0-9]+$"}, {"minimum": 1}, {"maximum": 1},
    {"exclusiveMinimum": 1}, {"exclusiveMaximum": 1}, {"type": "integer", "minimum": 0},
    {"type": "integer", "minimum": -2, "maximum": 7}, {"type": "integer", "multipleOf": 2},
    {"type": "number", "multipleOf": 0.5}, {"minItems": 1}, {"maxItems": 1},
    {"type": "array", "items": {"type": "integer"}}, {"items": {"type": "string"}},
    {"prefixItems": [{"type": "integer"}, {"type": "string"}]},
    {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
    {"type": "array", "items": {"type": "array"}}, {"properties": AB}, {**OBJECT, "properties": AB},
    {**OBJECT, "properties": AB, "required": ["a"]},
    {**OBJECT, "properties": AB, "required": ["a", "b"], "additionalProperties": False},
    {**OBJECT, "properties": AB, "additionalProperties": {"type": "integer"}},
    {**OBJECT, "additionalProperties": {"type": "integer"}}, {**OBJECT, "required": ["b"]},
    {**OBJECT, "additionalProperties": False}, {**OBJECT, "minProperties": 1},
    {**OBJECT, "maxProperties": 1}, {**OBJECT, "patternProperties": {"^x": {"type": "integer"}}},
    {**OBJECT, "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
    {"anyOf": [{"type": "integer"}, {"type": "string", "minLength": 2}]},
    {"anyOf": [{"properties": {"a": {"const": 1}}}, {"type": "string"}]},
    {"allOf": [{"minimum": 1}, {"maximum": 3}]}, {"allOf": [{"properties": AB}, OBJECT]},
    {"allOf": [{"type": "integer"}, {"enum": [1, "a"]}]},
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {"oneOf": [{"type": "null"}, OBJECT]}, {"$ref": "#/$defs/i", "$defs": {"i": AB["a"]}}, LIST,
    {**OBJECT, "properties": {"a": {"$ref": "#"}}, "additionalProperties": False},
    {"type": "string", "format": "date"}, {"type": "string", "format": "time"},
    {"type": "string", "format": "date-time"}, {"type": "string", "format": "email"},
    {"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"},
    {"type": "string", "format": "uuid"}, {"title": "t", "description": "d", "default": 1},
]  # fmt: skip
REFUSED: list[tuple[Any, str]] = [
    (False, "nsatisfiable"),
    ({"not": {"type": "string"}}, "not"),
    ({"if": OBJECT, "then": {"required": ["a"]}}, "if"),
    ({"type": "array", "contains": {"const": 1}}, "contains"),
    ({"type": "array", "uniqueItems": True}, "uniqueItems"),
    ({**OBJECT, "dependentRequired": {"a": ["b"]}}, "dependentRequired"),
    ({**OBJECT, "dependentSchemas": {"a": OBJECT}}, "dependentSchemas"),
    ({**OBJECT, "propertyNames": {"maxLength": 1}}, "propertyNames"),
    ({**OBJECT, "unevaluatedProperties": False}, "unevaluatedProperties"),
    ({"type": "array", "unevaluatedItems": False}, "unevaluatedItems"),
    ({"$dynamicRef": "#a"}, "dynamicRef"),
    ({"$ref": "http://elsewhere.example/s.json"}, "elsewhere"),
    ({"$ref": "#/$defs/nope"}, "nope"),
    ({"oneOf": [{"minimum": 1}, {"maximum": 3}]}, "oneOf"),
    ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
    ({"type": "string", "format": "made-up"}, "made-up"),
    ({"type": "integer", "minimum": 3, "maximum": 1}, "nsatisfiable|minimum"),
]

# Where jsonschema checks nothing by itself.
CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER
grammars = make_compiler()


@pytest.mark.parametrize("schema", ACCEPTED, ids=json.dumps)
def test_nothing_that_is_forbidden_comes_through(schema: Any) -> None:
    source = sources.from_json_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=CHECKER)
    taken = [each for each in DOCUMENTS if takes(grammars.matcher(source), json.dumps(each))]
    assert [each for each in taken if not validator.is_valid(each)] == []
    assert taken or not any(map(validator.is_valid, DOCUMENTS)), "something valid comes through"


@pytest.mark.parametrize(("schema", "reason"), REFUSED, ids=repr)
def test_what_cannot_be_enforced_is_refused_with_a_reason(schema: Any, reason: str) -> None:
    with pytest.raises(GrammarError, match=reason):
        grammars.matcher(sources.from_json_schema(schema))
