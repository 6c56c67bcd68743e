from __future__ import annotations

from typing import Any

import pytest

from cria.errors import RequestError
from tests.api.requests import USER, decode_chat, refused_chat

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OTHER_CALL = {"id": "d", "type": "custom", "custom": {"name": "f", "input": "x"}}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL, OTHER_CALL]}
RESULT = {"role": "tool", "content": "1", "tool_call_id": "c"}
OTHER_RESULT = {"role": "tool", "content": "2", "tool_call_id": "d"}


def refused_strictly(*messages: dict[str, Any]) -> RequestError:
    request, warnings = decode_chat(messages=list(messages))
    assert warnings == ()
    with pytest.raises(RequestError) as caught:
        request.check_strictly()
    return caught.value


@pytest.mark.parametrize(
    "messages",
    [
        [USER],
        [USER, CALLS, RESULT, OTHER_RESULT],
        [USER, CALLS, OTHER_RESULT, RESULT, USER, CALLS, RESULT, OTHER_RESULT, USER],
        [USER, {"role": "assistant", "content": "x"}, USER],
        [USER, {"role": "assistant"}, {"role": "function", "name": "f", "content": None}],
        [USER, {"role": "assistant", "tool_calls": [CALL | {"id": None}]}],
    ],
)
def test_a_conversation_that_openai_takes_is_taken_strictly(messages: list[dict[str, Any]]) -> None:
    decode_chat(messages=messages)[0].check_strictly()


@pytest.mark.parametrize(
    ("messages", "index"),
    [
        ([RESULT], 0),
        ([USER, RESULT], 1),
        ([USER, CALLS, RESULT, OTHER_RESULT, USER, RESULT], 5),
        ([USER, CALLS, RESULT | {"tool_call_id": "e"}], 2),
    ],
)
def test_a_result_without_a_call_is_refused_strictly(
    messages: list[dict[str, Any]], index: int
) -> None:
    error = refused_strictly(*messages)
    assert (error.param, error.code) == (f"messages.[{index}].role", None)
    assert "messages with role 'tool' must be a response to a preceding message" in str(error)


@pytest.mark.parametrize(
    ("messages", "index", "ids"),
    [
        ([USER, CALLS], 1, "c, d"),
        ([USER, CALLS, RESULT], 1, "d"),
        ([USER, CALLS, OTHER_RESULT, USER], 3, "c"),
    ],
)
def test_a_call_without_a_result_is_refused_strictly(
    messages: list[dict[str, Any]], index: int, ids: str
) -> None:
    error = refused_strictly(*messages)
    assert (error.param, error.code) == (f"messages.[{index}].role", None)
    assert str(error).endswith(f"These have no response: {ids}.")


@pytest.mark.parametrize("role", ["developer", "system", "user"])
def test_no_content_is_refused_strictly(role: str) -> None:
    error = refused_strictly(USER, {"role": role, "content": None})
    assert (error.param, error.code) == ("messages[1].content", "invalid_type")


def test_no_calls_at_all_are_refused_strictly() -> None:
    error = refused_strictly(USER, {"role": "assistant", "content": "x", "tool_calls": []})
    assert (error.param, error.code) == ("messages[1].tool_calls", "empty_array")


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        ({"id": "c"}, "function"),
        ({"id": "c", "type": "function"}, "function"),
        ({"id": "c", "type": "function", "custom": {"name": "f"}}, "function"),
        ({"id": "c", "type": "custom", "function": {"name": "f"}}, "custom"),
    ],
)
def test_a_call_has_what_its_type_promises(call: dict[str, Any], missing: str) -> None:
    error = refused_chat(messages=[USER, {"role": "assistant", "tool_calls": [CALL, call]}])
    param = f"messages[1].tool_calls[1].{missing}"
    assert (error.param, error.code) == (param, "missing_required_parameter")


def test_other_types_of_calls_are_refused() -> None:
    error = refused_chat(messages=[{"role": "assistant", "tool_calls": [CALL | {"type": "x"}]}])
    assert (error.param, error.code) == ("messages[0].tool_calls[0].type", "invalid_value")


def test_a_call_names_what_it_calls() -> None:
    call = CALL | {"function": {"name": "", "arguments": "{}"}}
    error = refused_chat(messages=[{"role": "assistant", "tool_calls": [call]}])
    assert (error.param, error.code) == ("messages[0].tool_calls[0].function.name", "empty_string")
