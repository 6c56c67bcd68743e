from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cria.api.tools import NO_TOOLS, ToolPlan, ToolSpec, template_tools
from tests.api.requests import decode_chat, refused_chat

SPEC = ToolSpec("f", "Does it.", {"type": "object"})


def test_templates_read_openais_shape() -> None:
    function = {"name": "f", "description": "Does it.", "parameters": {"type": "object"}}
    assert template_tools(ToolPlan((SPEC,))) == [{"type": "function", "function": function}]


def test_without_tools_a_template_has_no_such_variable() -> None:
    assert template_tools(NO_TOOLS) is None


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"tools": 5}, "tools", "invalid_type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{"function": {"name": "f"}}]}, "tools[0].type", "missing_required_parameter"),
        ({"functions": [{}]}, "functions[0].name", "missing_required_parameter"),
        ({"functions": [{"name": ""}]}, "functions[0].name", "invalid_value"),
        ({"functions": [{"name": "a b"}]}, "functions[0].name", "invalid_value"),
        ({"functions": [{"name": "x" * 65}]}, "functions[0].name", "invalid_value"),
        ({"functions": [{"name": "f"}] * 129}, "functions", "array_above_max_length"),
        (
            {"functions": [{"name": "f", "parameters": []}]},
            "functions[0].parameters",
            "invalid_type",
        ),
        ({"tool_choice": "any"}, "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "any"}}, "tool_choice.type", "invalid_value"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function", None),
        ({"function_call": "required"}, "function_call", "invalid_value"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls", "invalid_type"),
    ],
)
def test_what_has_another_shape_is_named(
    fields: dict[str, Any], param: str, code: str | None
) -> None:
    error = refused_chat(**fields)
    assert error.param == param
    assert code is None or error.code == code


def test_a_grammar_has_a_syntax_that_is_known() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "gbnf", "definition": "x"}}
    error = refused_chat(tools=[{"type": "custom", "custom": {"name": "g", "format": grammar}}])
    assert error.param == "tools[0].custom.format.grammar.syntax"


def test_everything_may_be_null() -> None:
    function = {"name": "f", "description": None, "parameters": None, "strict": None}
    request, warnings = decode_chat(
        tools=[{"type": "function", "function": function}],
        tool_choice=None,
        parallel_tool_calls=None,
        functions=None,
        function_call=None,
    )
    assert (len(request.tools), warnings) == (1, ())
    assert msgspec.to_builtins(request.tools[0])["function"] == function
