from __future__ import annotations

from typing import Any

import pytest

from tests.api.requests import decode_chat, refused_chat


def for_template(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    return decode_chat(messages=list(messages))[0].template_messages()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "developer", "content": "x"}, {"role": "system", "content": "x"}),
        ({"role": "system", "content": None}, {"role": "system", "content": ""}),
        (
            {"role": "user", "content": "x", "name": "Ann"},
            {"role": "user", "content": "x", "name": "Ann"},
        ),
        ({"role": "user", "content": []}, {"role": "user", "content": ""}),
        (
            {"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]},
            {"role": "user", "content": "a\nb"},
        ),
        ({"role": "assistant"}, {"role": "assistant", "content": ""}),
        (
            {"role": "assistant", "content": None, "refusal": "no"},
            {"role": "assistant", "content": "no"},
        ),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": "no"},
        ),
        (
            {"role": "assistant", "content": "x", "reasoning": "because"},
            {"role": "assistant", "content": "x", "reasoning_content": "because"},
        ),
        (
            {"role": "assistant", "content": "x", "tool_calls": []},
            {"role": "assistant", "content": "x"},
        ),
        (
            {"role": "tool", "content": "x", "tool_call_id": "c"},
            {"role": "tool", "content": "x", "tool_call_id": "c"},
        ),
        (
            {"role": "function", "content": None, "name": "f"},
            {"role": "tool", "content": "", "name": "f"},
        ),
    ],
)
def test_messages_as_templates_know_them(message: dict[str, Any], expected: dict[str, Any]) -> None:
    assert for_template(message) == [expected]


@pytest.mark.parametrize("arguments", ['{"a": 1}', "not json", {"a": 1}])
def test_tool_calls_keep_their_arguments(arguments: object) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    message = for_template({"role": "assistant", "content": None, "tool_calls": [call]})[0]
    assert message == {"role": "assistant", "content": "", "tool_calls": [call]}


def test_a_function_call_is_a_tool_call() -> None:
    function = {"name": "f", "arguments": "{}"}
    message = for_template({"role": "assistant", "content": None, "function_call": function})[0]
    assert message["tool_calls"] == [{"id": "", "type": "function", "function": function}]


def test_other_kinds_of_calls_are_refused() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}
    error = refused_chat(messages=[{"role": "assistant", "tool_calls": [call]}])
    assert error.param == "messages[0].tool_calls[0].type"
