from __future__ import annotations

from typing import Any

import pytest

from cria.api.tools import FunctionChoice, FunctionTool
from tests.api.anthropic.asking import TOOL, as_chat, decode_message, refused


def function_of(**tool: Any) -> Any:
    chat, _ = as_chat(tools=[{**TOOL, **tool}])
    (made,) = chat.tools
    assert isinstance(made, FunctionTool)
    return made.function


def test_a_tool_is_a_function() -> None:
    function = function_of(description="d", strict=True, type="custom")
    assert (function.name, function.description, function.strict) == ("f", "d", True)
    assert function.parameters == {"type": "object"}
    assert function_of(type=None, strict=None).strict is None


@pytest.mark.parametrize(
    ("kind", "name", "required"),
    [
        ("bash_20250124", "bash", ["command"]),
        ("text_editor_20250728", "str_replace_based_edit_tool", ["command", "path"]),
        ("memory_20250818", "memory", ["command"]),
    ],
)
def test_the_model_is_told_what_dated_tools_take(kind: str, name: str, required: list[str]) -> None:
    chat, _ = as_chat(tools=[{"type": kind, "name": name}])
    (made,) = chat.tools
    assert isinstance(made, FunctionTool)
    assert made.function.name == name
    assert made.function.description
    assert made.function.parameters is not None
    assert made.function.parameters["required"] == required


def test_a_tool_for_pictures_is_dropped_and_told() -> None:
    eyes = {
        "type": "computer_20250124",
        "name": "computer",
        "display_width_px": 1,
        "display_height_px": 1,
    }
    request, warnings = decode_message(tools=[eyes, TOOL])
    assert warnings == ("tools[0]",)
    chat, origins = as_chat(tools=[eyes, TOOL])
    assert len(chat.tools) == 1
    assert origins.path("tools[0].function.parameters.type") == "tools[1].input_schema.type"
    assert as_chat(tools=[eyes], tool_choice={"type": "auto"})[0].tool_choice is None


@pytest.mark.parametrize(
    "kind", ["web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "odd"]
)
def test_tools_of_servers_are_refused(kind: str) -> None:
    error = refused(tools=[TOOL, {"type": kind, "name": "x"}])
    assert (error.param, error.code) == ("tools[1].type", "unsupported_value")


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({"name": "f"}, "tools[0].input_schema"),
        ({**TOOL, "input_schema": {"type": "array"}}, "tools[0].input_schema"),
        ({**TOOL, "input_schema": []}, "tools[0].input_schema"),
        ({**TOOL, "name": "a b"}, "tools[0].name"),
        ({**TOOL, "name": "x" * 129}, "tools[0].name"),
        ({"input_schema": {"type": "object"}}, "tools[0].name"),
        ({**TOOL, "strict": 1}, "tools[0].strict"),
    ],
)
def test_a_wrong_tool_is_named(tool: object, param: str) -> None:
    assert refused(tools=[tool]).param == param


@pytest.mark.parametrize(
    ("choice", "made"),
    [({"type": "auto"}, "auto"), ({"type": "any"}, "required"), ({"type": "none"}, "none")],
)
def test_choices(choice: dict[str, str], made: str) -> None:
    chat, _ = as_chat(tools=[TOOL], tool_choice=choice)
    assert (chat.tool_choice, chat.parallel_tool_calls) == (made, None)


def test_a_named_choice_of_one_call() -> None:
    choice = {"type": "tool", "name": "f", "disable_parallel_tool_use": True}
    chat, _ = as_chat(tools=[TOOL], tool_choice=choice)
    assert isinstance(chat.tool_choice, FunctionChoice)
    assert chat.tool_choice.function.name == "f"
    assert chat.parallel_tool_calls is False


def test_no_choice_says_nothing() -> None:
    chat, _ = as_chat(tools=[TOOL])
    assert (chat.tool_choice, chat.parallel_tool_calls) == (None, None)


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ({"type": "odd"}, "tool_choice.type"),
        ({"type": "tool"}, "tool_choice.name"),
        ("auto", "tool_choice"),
    ],
)
def test_a_wrong_choice_is_named(choice: object, param: str) -> None:
    assert refused(tools=[TOOL], tool_choice=choice).param == param


def test_what_changes_nothing_is_told() -> None:
    tool = {**TOOL, "cache_control": {"type": "ephemeral"}, "input_examples": [{}], "odd": 1}
    assert decode_message(tools=[tool])[1] == (
        "tools[0].cache_control",
        "tools[0].input_examples",
        "tools[0].odd",
    )
