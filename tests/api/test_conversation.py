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


def test_results_have_the_name_of_what_was_called() -> None:
    stray = RESULT | {"tool_call_id": "x"}
    own = RESULT | {"name": "own"}
    messages = [RESULT, USER, CALLS, OTHER_RESULT, RESULT, stray, own]
    made = decode_chat(messages=messages)[0].template_messages()
    assert [message.get("name") for message in made] == [None, None, None, "f", "f", None, "own"]


def test_the_last_call_of_an_id_counts() -> None:
    later = CALLS | {"tool_calls": [CALL | {"function": {"name": "h", "arguments": "{}"}}]}
    made = decode_chat(messages=[USER, CALLS, RESULT, later, RESULT])[0].template_messages()
    assert [made[2]["name"], made[4]["name"]] == ["f", "h"]


def test_a_dumped_answer_can_be_sent_back() -> None:
    """What `message.model_dump()` of the official client has, with and without a call."""
    nulls = {"refusal": None, "annotations": None, "audio": None, "function_call": None}
    for calls in (None, [], [CALL]):
        answer = {"role": "assistant", "content": None, **nulls, "tool_calls": calls}
        request, warnings = decode_chat(messages=[USER, answer, RESULT])
        assert warnings == ()
        assert len(request.template_messages()) == 3


def test_what_no_template_looks_at_is_reported() -> None:
    answer = {"role": "assistant", "content": "x", "annotations": [], "audio": {"id": "a"}}
    assert decode_chat(messages=[answer, USER])[1] == ("messages[0].audio",)
    noted = {"role": "assistant", "content": "x", "annotations": [{"type": "url_citation"}]}
    assert decode_chat(messages=[noted, USER])[1] == ("messages[0].annotations",)


@pytest.mark.parametrize("arguments", ["", "{", "5", "null", "\ud83d", {"a": 1}, None])
def test_arguments_need_not_be_json(arguments: Any) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [USER, {"role": "assistant", "tool_calls": [call]}, RESULT]
    try:
        made = decode_chat(messages=messages)[0].template_messages()
    except RequestError as error:  # half of a pair of surrogates is no text at all
        assert "could not parse the JSON" in str(error)
    else:
        given = "" if arguments is None else arguments
        assert made[1]["tool_calls"][0]["function"]["arguments"] == given
