"""Items of a turn become one message; calls and outputs find each other."""

from __future__ import annotations

from typing import Any

import pytest

from cria.api.responses.conversation import to_messages
from cria.api.responses.input_items import Kept
from cria.api.responses.sealed import sealed
from cria.errors import RequestError
from tests.api.responses.making import made

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "1"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"}
CUSTOM_OUTPUT = {"type": "custom_tool_call_output", "call_id": "c2", "output": "y"}
USER = {"role": "user", "content": "u"}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "output_text", "text": text}]}


def thought(text: str) -> dict[str, Any]:
    return {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": text}],
    }


def messages(*items: dict[str, Any], instructions: str | None = None) -> list[dict[str, Any]]:
    kept: list[Kept] = made(input=list(items)).items  # type: ignore[assignment]
    return [message.for_template() for message in to_messages(instructions, kept)]


def test_roles() -> None:
    found = messages(
        {"role": "developer", "content": "d"},
        {"role": "system", "content": "s"},
        USER,
        said("a"),
        instructions="i",
    )
    assert [(m["role"], m["content"]) for m in found] == [
        ("system", "i"),
        ("system", "d"),
        ("system", "s"),
        ("user", "u"),
        ("assistant", "a"),
    ]


def test_thinking_text_and_calls_of_a_turn_are_one_message() -> None:
    found = messages(USER, thought("hm"), said("a"), CALL, CUSTOM, OUTPUT, CUSTOM_OUTPUT, said("b"))
    assert [m["role"] for m in found] == ["user", "assistant", "tool", "tool", "assistant"]
    turn = found[1]
    assert (turn["content"], turn["reasoning_content"]) == ("a", "hm")
    assert [call["id"] for call in turn["tool_calls"]] == ["c1", "c2"]
    assert turn["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert turn["tool_calls"][1]["function"] == {"name": "g", "arguments": {"input": "x"}}
    assert [m.get("tool_call_id") for m in found[2:4]] == ["c1", "c2"]
    assert found[4]["content"] == "b"


def test_text_behind_a_call_stays_in_its_turn() -> None:
    (_, turn, _) = messages(USER, said("a"), CALL, said("b"), OUTPUT)
    assert turn["content"] == "a\nb"


def test_two_answers_are_two_turns() -> None:
    found = messages(USER, said("a"), said("b"), thought("hm"), said("c"))
    assert [m["content"] for m in found] == ["u", "a", "b", "c"]
    assert found[3]["reasoning_content"] == "hm"


def test_thinking_is_whole_then_sealed_then_a_summary() -> None:
    summary = [{"type": "summary_text", "text": "short"}]
    item = {"type": "reasoning", "summary": summary}
    foreign = {**item, "encrypted_content": "gAAAAABo"}
    ours = {**item, "encrypted_content": sealed("whole")}
    whole = {**ours, **thought("as it was"), "summary": summary}
    for given, expected in ((item, "short"), (foreign, "short"), (ours, "whole")):
        assert messages(USER, given)[1]["reasoning_content"] == expected
    assert messages(USER, whole)[1]["reasoning_content"] == "as it was"
    assert len(messages(USER, {"type": "reasoning", "summary": []})) == 1


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([USER, CALL], "No tool output found for function call c1."),
        ([USER, CUSTOM], "No tool output found for custom tool call c2."),
        ([USER, OUTPUT], "No tool call found for function call output with call_id c1."),
        ([OUTPUT, CALL], "No tool call found for function call output with call_id c1."),
        ([CUSTOM_OUTPUT], "No tool call found for custom tool call output with call_id c2."),
        ([CALL, CUSTOM, OUTPUT], "No tool output found for custom tool call c2."),
    ],
)
def test_calls_without_outputs_are_refused(items: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        messages(*items)
    assert (str(caught.value), caught.value.param) == (message, "input")
