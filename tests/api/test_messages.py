from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessage, ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_message_function_tool_call import Function

from cria.api.messages import MEDIA_PARTS, media_refusal
from tests.api.requests import JSON_VALUES, USER, decode_chat, refused_chat


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


def test_a_call_without_its_type_is_a_function_call() -> None:
    call = {"function": {"name": "f", "arguments": None}, "id": None, "type": None}
    (made,) = for_template({"role": "assistant", "tool_calls": [call]})[0]["tool_calls"]
    assert made == {"id": "", "type": "function", "function": {"name": "f", "arguments": ""}}


@pytest.mark.parametrize(("text", "argument"), [("x = 1", "x = 1"), (None, "")])
def test_a_custom_call_is_a_function_call_with_one_argument(
    text: str | None, argument: str
) -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "f", "input": text}}
    (made,) = for_template({"role": "assistant", "tool_calls": [call]})[0]["tool_calls"]
    function = {"name": "f", "arguments": {"input": argument}}
    assert made == {"id": "c", "type": "function", "function": function}


@pytest.mark.parametrize("role", ["developer", "system", "user", "assistant", "tool", "function"])
@pytest.mark.parametrize("kind", sorted(MEDIA_PARTS))
def test_what_is_no_text_is_refused_where_it_stands(role: str, kind: str) -> None:
    parts = [{"type": "text", "text": "look"}, {"type": kind, kind: {}}]
    message = {"role": role, "content": parts, "name": "n", "tool_call_id": "c"}
    error = refused_chat(messages=[USER, message])
    assert (error.param, error.code) == ("messages.[1].content.[1].type", "unsupported_value")
    assert str(error) == f"Invalid content type: '{kind}'. This model reads text only."


@given(JSON_VALUES | st.lists(JSON_VALUES))
def test_any_value_can_be_searched_for_media(value: Any) -> None:
    media_refusal(value)


def test_an_answer_can_be_sent_back_as_it_came() -> None:
    call = ChatCompletionMessageFunctionToolCall(
        id="c", type="function", function=Function(name="f", arguments="{}")
    )
    for calls in (None, [call]):
        replayed = ChatCompletionMessage(role="assistant", content="x", tool_calls=calls)
        _, warnings = decode_chat(messages=[USER, replayed.model_dump()])
        assert warnings == ()
