from __future__ import annotations

from typing import Any

import pytest

from cria.errors import RequestError
from tests.api.requests import decode_chat, refused_chat

TOOL = {"type": "function", "function": {"name": "f"}}
FUNCTIONS = {"functions": [{"name": "f"}]}
FORCED = [
    {"tools": [TOOL], "tool_choice": "required"},
    {"tools": [TOOL], "tool_choice": TOOL},
    {**FUNCTIONS, "function_call": {"name": "f"}},
]
JSON = {"response_format": {"type": "json_object"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": TOOL, "tools": []}, "tool_choice"),
        ({"tool_choice": "required", **FUNCTIONS}, "tool_choice"),
        ({"function_call": {"name": "f"}, "tools": [TOOL]}, "function_call"),
    ],
)
def test_a_choice_needs_something_to_choose_from(fields: dict[str, Any], param: str) -> None:
    error = refused_chat(**fields)
    assert (error.param, error.code) == (param, None)
    assert f"'{param}' is only allowed when '" in str(error)


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("tool_choice", "auto", {"tools": [TOOL]}),
        ("parallel_tool_calls", True, {"tools": [TOOL]}),
        ("parallel_tool_calls", False, {"tools": [TOOL]}),
        ("function_call", "auto", FUNCTIONS),
    ],
)
def test_what_only_speaks_of_tools_needs_none_unless_strictly(
    name: str, value: Any, needed: dict[str, Any]
) -> None:
    request, warnings = decode_chat(**{name: value})
    assert warnings == (name,)
    with pytest.raises(RequestError) as caught:
        request.check_strictly()
    assert (caught.value.param, caught.value.code) == (name, None)
    request, warnings = decode_chat(**{name: value}, **needed)
    request.check_strictly()
    assert warnings == ()


def test_both_forms_together_are_refused() -> None:
    error = refused_chat(tools=[TOOL], **FUNCTIONS)
    assert (error.param, error.code) == ("functions", "invalid_value")


@pytest.mark.parametrize("fields", [{"tools": [TOOL]}, FUNCTIONS])
@pytest.mark.parametrize(
    "shape",
    [{"grammar": "root ::= x"}, {"regex": "a"}, {"guided_choice": ["a"]}, {"ebnf": "root ::= x"}],
)
def test_a_call_has_no_other_shape(fields: dict[str, Any], shape: dict[str, Any]) -> None:
    error = refused_chat(**fields, **shape)
    assert (error.param, error.code) == (next(iter(shape)), "invalid_value")
    decode_chat(tools=[TOOL], tool_choice="none", **shape)


def test_an_answer_is_a_call_or_has_its_shape() -> None:
    request, warnings = decode_chat(tools=[TOOL], **JSON)
    assert request.constraint is not None and request.tool_plan.callable
    assert (request.shaped_by, warnings) == ("response_format", ())


@pytest.mark.parametrize("forced", FORCED)
def test_a_forced_call_says_itself_when_it_ends(forced: dict[str, Any]) -> None:
    for name, value in (("ignore_eos", True), ("min_tokens", 5)):
        error = refused_chat(**forced, **{name: value})
        assert (error.param, error.code) == (name, "invalid_value")
        assert f"where '{list(forced)[1]}' says" in str(error)
    decode_chat(tools=[TOOL], ignore_eos=True, min_tokens=5)


@pytest.mark.parametrize("forced", FORCED)
def test_what_speaks_of_text_does_nothing_beside_a_forced_call(forced: dict[str, Any]) -> None:
    assert decode_chat(**forced, stop="x", **JSON)[1] == ("stop", "response_format")
    assert decode_chat(tools=[TOOL], stop="x", **JSON)[1] == ()
