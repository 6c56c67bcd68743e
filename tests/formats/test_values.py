from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.formats.values import Style, dump_json, load_json, tagged_to_json, to_json


@pytest.mark.parametrize(
    ("text", "types", "value"),
    [
        ("5", {"string"}, "5"),
        ("5", {"integer"}, 5),
        ("5", set(), 5),
        ("five", {"integer"}, "five"),
        ("five", set(), "five"),
        ("True", {"boolean"}, True),
        ("True", set(), "True"),
        ("null", {"string", "null"}, None),
        ("5", {"string", "null"}, "5"),
        ("5", {"string", "number"}, 5),
        ('{"a": [1]}', {"object"}, {"a": [1]}),
        ("{'a': None}", {"object"}, {"a": None}),
        ("{1}", {"object"}, "{1}"),
        ("NaN", {"number"}, "NaN"),
        ("[" * 100_000, {"array"}, "[" * 100_000),
        ("9" * 5000, {"integer"}, "9" * 5000),
        ("", {"integer"}, ""),
    ],
)
def test_tagged_values(text: str, types: set[str], value: Any) -> None:
    assert json.loads(tagged_to_json(text, frozenset(types))) == value


@pytest.mark.parametrize(("is_text", "value"), [(True, "5"), (False, 5)])
def test_the_format_can_tell_text(is_text: bool, value: Any) -> None:
    for types in ({"string"}, {"integer"}, set[str]()):
        assert json.loads(tagged_to_json("5", frozenset(types), is_text)) == value


@pytest.mark.parametrize(
    ("style", "text", "value"),
    [
        ("python", "'a\\'b'", "a'b"),
        ("python", "True", True),
        ("python", "true", True),
        ("python", "(1, 2)", [1, 2]),
        ("python", '{"a": null}', {"a": None}),
        ("python", "'a\\d'", "a\\d"),
        ("python", "'it's'", "it's"),
        ("python", "a b", "a b"),
        ("python", "1j", "1j"),
        ("python", "'\\ud800'", "\ufffd"),
        ("quoted", "<q>a,}<q>", "a,}"),
        ("quoted", "{a:[1,<q>b<q>]}", {"a": [1, "b"]}),
        ("quoted", "{a", "{a"),
        ("tagged", "a", "a"),
    ],
)
def test_other_values(style: Style, text: str, value: Any) -> None:
    assert json.loads(to_json(text, style, frozenset(), "<q>")) == value


@given(st.sampled_from(["tagged", "python", "quoted"]), st.text("'\"\\{}[]():,aTN1.-\n<q>"))
def test_any_text_is_some_value(style: Style, text: str) -> None:
    for types in (set[str](), {"string"}, {"object", "integer"}):
        to_json(text, style, frozenset(types), "<q>").encode()
        json.loads(to_json(text, style, frozenset(types), "<q>"))


def test_json_is_strict() -> None:
    assert load_json("[1]") == [1]
    for constant in ("NaN", "Infinity"):
        with pytest.raises(ValueError, match=constant):
            load_json(constant)
    assert dump_json("é") == '"é"'


@pytest.mark.parametrize("style", ["tagged", "python"])
def test_a_number_that_python_cannot_hold_stays_as_it_is(style: Any) -> None:
    assert to_json(" 1e999", style, frozenset({"number"}), '"') == "1e999"
    assert to_json("[-1e999]", style, frozenset({"array"}), '"') == "[-1e999]"
