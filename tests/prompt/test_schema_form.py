from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.prompt.schema_form import with_plain_schemas
from tests.prompt.conversations import tool


def plain(schema: Any) -> dict[str, Any]:
    (changed,) = with_plain_schemas([tool(parameters=schema)])
    parameters: dict[str, Any] = changed["function"]["parameters"]
    return parameters


def plain_property(schema: Any) -> dict[str, Any]:
    found: dict[str, Any] = plain({"type": "object", "properties": {"x": schema}})["properties"]
    return found["x"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer", "description": "n"}, {"type": "integer", "description": "n"}),
        ({"type": ["string", "null"]}, {"type": "string", "description": ""}),
        ({"type": ["null", "number"]}, {"type": "number", "description": ""}),
        ({"type": "null", "description": 5}, {"type": "string", "description": "5"}),
        ({"type": ["null"]}, {"type": "string", "description": ""}),
        ({"type": {}}, {"type": "string", "description": ""}),
        ({"enum": [1]}, {"type": "string", "description": "", "enum": [1]}),
        (True, {"description": ""}),
    ],
)
def test_a_property_has_one_type_and_a_description(schema: Any, expected: dict[str, Any]) -> None:
    assert plain_property(schema) == expected


def test_an_object_has_all_that_objects_have() -> None:
    bare = {
        "type": "object",
        "description": "",
        "properties": {},
        "required": [],
        "additionalProperties": {},
    }
    assert plain({"type": "object"}) == bare
    assert plain_property({"type": "object"}) == bare
    assert plain_property({"type": "array", "items": {"type": "object"}})["items"] == bare
    assert plain({"type": "object", "additionalProperties": False})["additionalProperties"] is False


@pytest.mark.parametrize("schema", [None, True, {}, {"allOf": [{"required": ["x"]}]}])
def test_arguments_are_an_object(schema: Any) -> None:
    assert (plain(schema)["type"], plain(schema)["properties"]) == ("object", {})


def test_what_is_inside_is_plain_too() -> None:
    inner = {"type": ["string", "null"]}
    changed = plain_property({"anyOf": [inner, {"type": "object", "properties": {"y": inner}}]})
    assert changed["anyOf"][0]["type"] == "string"
    assert changed["anyOf"][1]["properties"]["y"]["type"] == "string"
    assert inner == {"type": ["string", "null"]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from("type properties items anyOf description required x".split()), inner
        )
    ),
)


@given(schema=JSON)
def test_anything_becomes_plain_and_stays_so(schema: Any) -> None:
    once = plain(schema)
    assert plain(once)["type" if "type" in once else "description"] is not None
    assert isinstance(once["description"], str)
