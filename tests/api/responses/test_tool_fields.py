"""Flat tools become those of a chat."""

from __future__ import annotations

from typing import Any

import pytest

from cria.api import tools as chat
from cria.api.responses.tool_fields import (
    chat_choice,
    chat_tools,
    left_out,
    namespaces,
    placed,
    without_versions,
)
from cria.errors import RequestError
from tests.api.responses.making import decoded, made

SCHEMA = {"type": "object", "properties": {}}
F = {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
G = {"type": "custom", "name": "g", "format": {"type": "text"}}
LARK = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
H = {"type": "custom", "name": "h", "format": LARK}
SPACE = {"type": "namespace", "name": "n", "description": "d", "tools": [{**F, "name": "i"}]}


def test_tools() -> None:
    tools = made(tools=[F, G, SPACE, H]).tools
    assert chat_tools(tools) == [
        chat.FunctionTool(chat.Function("f", "d", SCHEMA, True)),
        chat.CustomTool(chat.Custom("g", None, chat.AnyText())),
        chat.FunctionTool(chat.Function("i", "d", SCHEMA, True)),
        chat.CustomTool(
            chat.Custom("h", None, chat.GrammarText(chat.Grammar("lark", "start: /a/")))
        ),
    ]
    assert [each.path for each in placed(tools)] == [
        "tools[0]",
        "tools[1]",
        "tools[2].tools[0]",
        "tools[3]",
    ]
    assert namespaces(tools) == {"i": "n"}


def test_strict_is_only_what_was_said() -> None:
    (tool,) = chat_tools(made(tools=[{"type": "function", "name": "f"}]).tools)
    assert isinstance(tool, chat.FunctionTool) and tool.function.strict is None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("required", "required"),
        ({"type": "function", "name": "f"}, chat.FunctionChoice(chat.Named("f"))),
        ({"type": "custom", "name": "g"}, chat.CustomChoice(chat.Named("g"))),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}],
            },
            chat.AllowedChoice(
                chat.AllowedTools(
                    "auto",
                    [
                        chat.AllowedTool("function", function=chat.Named("f")),
                        chat.AllowedTool("custom", custom=chat.Named("g")),
                    ],
                )
            ),
        ),
    ],
)
def test_choices(choice: Any, expected: object) -> None:
    assert chat_choice(made(tools=[F, G], tool_choice=choice).tool_choice) == expected


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"tools": [{"type": "nothing"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{"name": "f"}]}, "tools[0].type", "missing_required_parameter"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
        ({"tools": [F], "tool_choice": "f"}, "tool_choice", "invalid_value"),
        ({"tools": [F], "tool_choice": {"type": "mcp"}}, "tool_choice.type", "invalid_value"),
    ],
)
def test_what_cannot_be_run_is_named(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        made(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_hints_are_reported() -> None:
    warnings = decoded(tools=[{**F, "async": True, "defer_loading": False}, SPACE])[1]
    assert set(warnings) == {"tools[0].async", "tools[0].defer_loading"}


BUILT_IN = [{"type": "web_search_preview_2025_03_11"}, F, {"type": "mcp", "server_label": "x"}]


def test_tools_that_others_run_are_refused_or_left_out() -> None:
    request, warnings = decoded(tools=BUILT_IN)
    assert warnings == ()
    assert [each.path for each in placed(request.tools)] == ["tools[1]"]
    assert left_out(request.tools, is_allowed=True) == ("tools[0]", "tools[2]")
    with pytest.raises(RequestError) as caught:
        left_out(request.tools, is_allowed=False)
    assert (caught.value.param, caught.value.code) == ("tools[0].type", "unsupported_value")
    assert left_out(made(tools=[F]).tools, is_allowed=False) == ()


@pytest.mark.parametrize("tools", [None, 5, [5, {"type": 5}], [F]])
def test_raw_tools_may_be_anything(tools: object) -> None:
    assert without_versions(tools) == tools
