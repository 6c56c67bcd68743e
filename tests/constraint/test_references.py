from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.constraint.references import is_endless

TEXT = {"type": "string"}
A, B = {"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/"},
        {"allOf": [TEXT, {"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}]},
        {"oneOf": [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}]},
        {**A, "$defs": {"a": B, "b": A}},
        {"type": "array", "items": A, "$defs": {"a": {"anyOf": [B]}, "b": A}},
        {"properties": {"x/y~": {"$ref": "#/properties/x~1y~0"}}},
        {"anyOf": [TEXT, {"$ref": "#/anyOf/1"}]},
    ],
    ids=str,
)
def test_circles_without_a_value(schema: dict[str, Any]) -> None:
    schema = {"": {"$ref": "#/"}, **schema} if schema == {"$ref": "#/"} else schema
    assert is_endless(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        TEXT,
        {"type": "array", "items": {"$ref": "#"}},
        {"properties": {"next": {"$ref": "#"}}, "required": ["next"]},
        {"anyOf": [{"$ref": "#"}, TEXT]},
        {**A, "$defs": {"a": {"anyOf": [A, TEXT]}}},
        {**A, "$defs": {"a": {"anyOf": [B, TEXT]}, "b": A}},
        {"enum": [{"$ref": "#/enum/0"}]},
        {"$ref": "http://127.0.0.1/x"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/anyOf/7", "anyOf": [TEXT]},
        {"$ref": 5, "allOf": 5, "anyOf": []},
        {"allOf": [True, 5, None]},
    ],
    ids=str,
)
def test_what_comes_to_a_value_or_is_for_others_to_refuse(schema: dict[str, Any]) -> None:
    assert not is_endless(schema)


def test_a_long_chain_takes_linear_time() -> None:
    size = 20_000
    chain: dict[str, Any] = {f"{i}": {"$ref": f"#/$defs/{i + 1}"} for i in range(size)}
    start = time.process_time()
    assert not is_endless({"$defs": {**chain, f"{size}": TEXT}})
    assert is_endless({"$defs": {**chain, f"{size}": {"$ref": "#/$defs/0"}}})
    assert time.process_time() - start < 2


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["#", "#/a", "#/anyOf/0", "#/$ref"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$ref", "allOf", "anyOf", "oneOf", "a", "enum"]), inner)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["$ref", "allOf", "anyOf", "oneOf", "a"]), JSON))
def test_any_object_is_looked_at(schema: dict[str, Any]) -> None:
    assert is_endless(schema) in (True, False)
