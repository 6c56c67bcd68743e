from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cria.api.constraints import ANY_OBJECT, Constraint, ConstraintFields, StructuredOutputs
from tests.api.requests import decode_chat, decode_completion, refused_chat

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def wrapped(**inner: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", **inner}}


def at(param: str, kind: str = "schema", value: Any = None, **more: Any) -> Constraint:
    return Constraint(kind, SCHEMA if value is None else value, param, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response_format": {"type": "json_object"}}, at("response_format", value=ANY_OBJECT)),
        (
            {"response_format": {"type": "json_object", "schema": SCHEMA}},
            at("response_format.schema"),
        ),
        (
            {"response_format": {"type": "json_schema", "schema": SCHEMA}},
            at("response_format.schema"),
        ),
        (
            {"response_format": wrapped(schema=SCHEMA, strict=True)},
            at("response_format.json_schema.schema", name="x"),
        ),
        (
            {"response_format": wrapped(schema=SCHEMA, strict=False)},
            at("response_format.json_schema.schema", name="x", is_lenient=True),
        ),
        (
            {"response_format": wrapped()},
            at("response_format.json_schema.schema", value=ANY_OBJECT, name="x"),
        ),
        ({"json_schema": SCHEMA}, at("json_schema")),
        ({"guided_json": SCHEMA}, at("guided_json")),
        ({"guided_json": '{"type": "null"}'}, at("guided_json", value={"type": "null"})),
        ({"guided_regex": "a+"}, at("guided_regex", "regex", "a+")),
        ({"regex": "a+"}, at("regex", "regex", "a+")),
        ({"guided_choice": ["a", "b"]}, at("guided_choice", "choice", ["a", "b"])),
        ({"guided_grammar": "g"}, at("guided_grammar", "grammar", "g")),
        ({"grammar": "g"}, at("grammar", "grammar", "g")),
        ({"ebnf": "g"}, at("ebnf", "grammar", "g")),
        ({"structured_outputs": {"json": SCHEMA}}, at("structured_outputs.json")),
        (
            {"structured_outputs": {"regex": "a"}},
            at("structured_outputs.regex", "regex", "a"),
        ),
        (
            {"structured_outputs": {"choice": ["a"]}},
            at("structured_outputs.choice", "choice", ["a"]),
        ),
        (
            {"structured_outputs": {"grammar": "g"}},
            at("structured_outputs.grammar", "grammar", "g"),
        ),
        (
            {"structured_outputs": {"json_object": True}},
            at("structured_outputs.json_object", value=ANY_OBJECT),
        ),
    ],
)
def test_what_each_form_asks_for(fields: dict[str, Any], expected: Constraint) -> None:
    assert decode_chat(**fields)[0].constraint == expected
    assert decode_completion(**fields)[0].constraint == expected


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"response_format": {"type": "text"}},
        {"response_format": None, "grammar": "", "json_schema": {}, "guided_json": ""},
        {"structured_outputs": {"json_object": False}, "regex": "", "ebnf": ""},
    ],
)
def test_nothing_is_asked_for(fields: dict[str, Any]) -> None:
    assert decode_chat(**fields, ignore_eos=True)[0].constraint is None


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"response_format": {}}, "response_format.type", "missing_required_parameter"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        ({"response_format": "json"}, "response_format", "invalid_type"),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
            "response_format.json_schema.name",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
            "response_format.json_schema.name",
            "invalid_value",
        ),
        (
            {"response_format": {**wrapped(schema=SCHEMA), "schema": SCHEMA}},
            "response_format.schema",
            "invalid_value",
        ),
        ({"grammar": 5}, "grammar", "invalid_type"),
        ({"guided_choice": []}, "guided_choice", "empty_array"),
        ({"guided_choice": [""]}, "guided_choice[0]", "empty_string"),
        ({"guided_json": "no json"}, "guided_json", "invalid_value"),
        ({"guided_json": "5"}, "guided_json", "invalid_value"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json", "invalid_value"),
        ({"grammar": "g", "regex": "a"}, "regex", "invalid_value"),
        (
            {"response_format": {"type": "json_object"}, "json_schema": SCHEMA},
            "json_schema",
            "invalid_value",
        ),
        ({"regex": "a", "ignore_eos": True}, "ignore_eos", "invalid_value"),
        ({"regex": "a", "min_tokens": 2}, "min_tokens", "invalid_value"),
    ],
)
def test_refused(fields: dict[str, Any], param: str, code: str) -> None:
    error = refused_chat(**fields)
    assert (error.param, error.code) == (param, code), str(error)


def test_unknown_members_are_listed() -> None:
    _, warnings = decode_chat(response_format=wrapped(odd=1), structured_outputs={"backend": "x"})
    assert warnings == ("response_format.json_schema.odd", "structured_outputs.backend")


def test_the_documentation_has_every_field() -> None:
    text = (Path(__file__).parents[2] / "docs" / "structured-output.md").read_text()
    names = [field.encode_name for field in msgspec.structs.fields(ConstraintFields)]
    names += [f"structured_outputs.{name}" for name in StructuredOutputs.__struct_fields__]
    assert [n for n in names if not re.search(rf"`{re.escape(n)}[`.:]", text)] == []
