from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.tool_plan import NO_ARGUMENTS
from cria.api.tools import NO_TOOLS, Grammar, ToolPlan, ToolSpec
from cria.errors import RequestError
from tests.api.requests import JSON_VALUES, decode_chat, refused_chat

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def function(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


def custom(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "custom", "custom": {"name": name, **fields}}


TOOLS = [function("f", description="F.", parameters=SCHEMA), custom("g"), function("h")]


def plan(choice: Any = None, tools: list[dict[str, Any]] = TOOLS, **fields: Any) -> ToolPlan:
    return decode_chat(tools=tools, tool_choice=choice, **fields)[0].tool_plan


def spec(tool: dict[str, Any]) -> ToolSpec:
    return plan(tools=[tool]).tools[0]


def names(specs: tuple[ToolSpec, ...]) -> str:
    return " ".join(spec.name for spec in specs)


def allowed(mode: str, *tools: dict[str, Any]) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


@pytest.mark.parametrize(
    ("choice", "callable_names", "is_required", "is_parallel"),
    [
        (None, "f g h", False, True),
        ("auto", "f g h", False, True),
        ("none", "", False, True),
        ("required", "f g h", True, True),
        (function("h"), "h", True, False),
        (custom("g"), "g", True, False),
        (allowed("auto", custom("g"), function("f")), "f g", False, True),
        (allowed("required", function("h"), function("h")), "h", True, True),
    ],
)
def test_what_may_and_must_be_called(
    choice: Any, callable_names: str, is_required: bool, is_parallel: bool
) -> None:
    made = plan(choice)
    assert (names(made.tools), names(made.callable)) == ("f g h", callable_names)
    assert (made.is_required, made.is_parallel) == (is_required, is_parallel)
    assert not made.is_legacy
    assert not plan(choice, parallel_tool_calls=False).is_parallel or not made.callable


@pytest.mark.parametrize(
    ("choice", "callable_names", "is_required"),
    [
        (None, "f h", False),
        ("auto", "f h", False),
        ("none", "", False),
        ({"name": "h"}, "h", True),
    ],
)
def test_the_older_form(choice: Any, callable_names: str, is_required: bool) -> None:
    functions = [{"name": "f", "parameters": SCHEMA}, {"name": "h"}]
    made = decode_chat(functions=functions, function_call=choice)[0].tool_plan
    assert (names(made.tools), names(made.callable)) == ("f h", callable_names)
    assert (made.is_required, made.is_legacy) == (is_required, True)
    assert not (made.callable and made.is_parallel)
    assert made.tools[0].param == "functions[0].parameters"


def test_nothing_may_be_called_without_tools() -> None:
    assert decode_chat(tool_choice="none", function_call="none")[0].tool_plan == NO_TOOLS


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        (None, NO_ARGUMENTS),
        ({}, NO_ARGUMENTS),
        (SCHEMA, SCHEMA),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"$ref": "#/$defs/x"}, {"type": "object", "$ref": "#/$defs/x"}),
    ],
)
def test_arguments_are_an_object(parameters: Any, schema: dict[str, Any]) -> None:
    made = spec(function("f", parameters=parameters, strict=True))
    assert made == ToolSpec("f", "", schema, strict=True, param="tools[0].function.parameters")


@pytest.mark.parametrize("kind", ["array", "null", None, 5, ["object", "null"]])
def test_arguments_of_another_type_are_refused(kind: Any) -> None:
    tools = [function("f"), function("g", parameters={"type": kind})]
    error = refused_chat(tools=tools)
    assert error.param == "tools[1].function.parameters"
    assert error.code == "invalid_function_parameters"
    assert str(error).startswith("Invalid schema for function 'g': ")


def inputs(**more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"input": {"type": "string", **more}},
        "required": ["input"],
        "additionalProperties": False,
    }


def test_a_custom_tool_takes_any_text() -> None:
    expected = ToolSpec("g", "G.", inputs(), "custom", param="tools[0].custom")
    assert spec(custom("g", description="G.")) == expected
    assert spec(custom("g", description="G.", format={"type": "text"})) == expected


def test_a_custom_tool_takes_text_of_a_grammar() -> None:
    def made(syntax: str) -> ToolSpec:
        grammar = {"syntax": syntax, "definition": "a|b"}
        return spec(custom("g", format={"type": "grammar", "grammar": grammar}))

    param = "tools[0].custom.format.grammar.definition"
    pattern = inputs(pattern="^(?:a|b)$")
    assert made("regex") == ToolSpec("g", "", pattern, "custom", strict=True, param=param)
    lark = Grammar("lark", "a|b")
    assert made("lark") == ToolSpec("g", "", inputs(), "custom", True, lark, param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [function("f"), custom("f")]}, "tools[1].custom.name"),
        ({"functions": [{"name": "f"}, {"name": "f"}]}, "functions[1].name"),
        ({"tools": TOOLS, "tool_choice": function("x")}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": custom("f")}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": function("g")}, "tool_choice"),
        ({"functions": [{"name": "f"}], "function_call": {"name": "x"}}, "function_call"),
        (
            {"tools": TOOLS, "tool_choice": allowed("auto", function("f"), function("x"))},
            "tool_choice.allowed_tools.tools[1]",
        ),
        (
            {"tools": TOOLS, "tool_choice": allowed("auto", {"type": "custom"})},
            "tool_choice.allowed_tools.tools[0].custom",
        ),
        (
            {"tools": TOOLS, "tool_choice": allowed("required")},
            "tool_choice.allowed_tools.tools",
        ),
    ],
)
def test_names_are_those_of_tools(fields: dict[str, Any], param: str) -> None:
    error = refused_chat(**fields)
    assert error.param == param
    assert error.code in ("invalid_value", "empty_array", "missing_required_parameter")


TOOLS_OF_ANY_KIND = st.lists(
    JSON_VALUES
    | st.builds(function, st.sampled_from("fgh"), parameters=JSON_VALUES)
    | st.builds(custom, st.sampled_from("fgh"), format=JSON_VALUES),
    max_size=3,
)
CHOICES = (
    st.sampled_from(["none", "auto", "required"])
    | st.builds(function, st.sampled_from("fgh"))
    | st.builds(allowed, st.just("auto"), st.builds(custom, st.sampled_from("fgh")))
    | JSON_VALUES
)


@given(TOOLS_OF_ANY_KIND, CHOICES)
def test_any_json_is_a_plan_or_an_error_that_names_it(tools: Any, choice: Any) -> None:
    try:
        made = plan(choice, tools)
    except RequestError as error:
        is_json = "could not parse the JSON" not in str(error)  # of infinity, for example
        assert not is_json or (error.param or "").startswith(("tools", "tool_choice"))
    else:
        assert {tool.name for tool in made.callable} <= {tool.name for tool in made.tools}
        assert len(made.tools) == len(tools)
        assert all(tool.schema["type"] == "object" for tool in made.tools)
