"""Items of any origin are read, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.responses.input_items import (
    UNREAD,
    FunctionOutput,
    InputText,
    ItemReference,
    MessageInput,
    PastRefusal,
    ReasoningInput,
    Unread,
    media_refusal,
    text_of,
    unread_paths,
    with_types,
)
from cria.errors import RequestError
from tests.api.responses.making import decoded, made


def test_a_message_needs_no_type() -> None:
    items = made(input=[{"role": "user", "content": "a"}, {"type": None, "id": "msg_1"}]).items
    assert items == [MessageInput("user", "a"), ItemReference("msg_1")]


def test_replayed_items_keep_what_they_say() -> None:
    request, warnings = decoded(
        input=[
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "phase": "commentary",
                "content": [
                    {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
            {"type": "function_call_output", "call_id": "c", "output": [
                {"type": "input_text", "text": "x"}, {"type": "input_text", "text": "y"},
            ]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None},
        ]
    )  # fmt: skip
    message, output, reasoning = request.items
    assert warnings == ()
    assert isinstance(message, MessageInput) and text_of(message.content) == "a\nno"
    assert isinstance(output, FunctionOutput) and text_of(output.output) == "x\ny"
    assert isinstance(reasoning, ReasoningInput) and reasoning.encrypted_content is None


def test_what_others_run_is_taken_and_reported() -> None:
    given_items = [{"type": kind, "id": "x", "anything": [1]} for kind in UNREAD]
    request, warnings = decoded(input=[*given_items, {"role": "user", "content": "a"}])
    assert all(isinstance(item, Unread) for item in request.items[:-1])
    assert list(unread_paths(request.items)) == [f"input[{i}]" for i in range(len(UNREAD))]
    assert "input[0]" in warnings


@pytest.mark.parametrize(
    ("item", "param", "code"),
    [
        (5, "input[0]", "invalid_type"),
        ({}, "input[0].type", "missing_required_parameter"),
        ({"type": "nothing"}, "input[0].type", "invalid_value"),
        ({"role": "tool", "content": "x"}, "input[0].role", "invalid_value"),
        ({"role": "user"}, "input[0].content", "missing_required_parameter"),
        ({"role": "user", "content": 1}, "input[0].content", "invalid_type"),
        (
            {"role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]},
            "input[0].content[0].type",
            "unsupported_value",
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file"}]},
            "input[0].output[0].type",
            "unsupported_value",
        ),
        (
            {"type": "function_call", "call_id": "", "name": "f", "arguments": ""},
            "input[0].call_id",
            "empty_string",
        ),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": {}},
            "input[0].arguments",
            "invalid_type",
        ),
        (
            {"type": "function_call_output", "call_id": "c" * 65, "output": ""},
            "input[0].call_id",
            "string_above_max_length",
        ),
        ({"type": "item_reference"}, "input[0].id", "missing_required_parameter"),
    ],
)
def test_what_does_not_fit_is_named(item: Any, param: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        made(input=[item])
    assert (caught.value.param, caught.value.code) == (param, code)


def test_unknown_members_are_reported() -> None:
    item = {"role": "user", "content": [{"type": "input_text", "text": "a", "foo": 1}], "bar": 2}
    assert set(decoded(input=[item])[1]) == {"input[0].content[0].foo", "input[0].bar"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("type role content id call_id output summary text name foo".split())
            | st.text(max_size=3),
            inner
            | st.sampled_from(
                "message user reasoning function_call input_text input_image".split()
            ),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(value=JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        request = made(input=value)
    except RequestError as error:
        assert error.param is not None and error.param.startswith("input")
        assert error.code is not None
    else:
        assert request.input or request.input == []


@given(value=JSON)
def test_what_looks_at_raw_items_bears_anything(value: Any) -> None:
    with_types(value)
    media_refusal(value)


def test_text_of_parts() -> None:
    assert text_of("a") == "a"
    assert text_of([InputText("a"), PastRefusal("b")]) == "a\nb"
