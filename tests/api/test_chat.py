from __future__ import annotations

import timeit
from typing import Any

import pytest

from cria.api.chat import RESERVED_TEMPLATE_KWARGS
from cria.api.chat_answer import encode_chat
from cria.api.head import Choice, ResponseHead
from cria.api.usage import Usage
from tests.api.requests import USER, decode_chat, refused_chat

HEAD = ResponseHead("chatcmpl-1", 1_700_000_000, "m", "fp")


ANSWER = {"role": "assistant", "content": "Sure"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


TOOL = {"type": "function", "function": {"name": "f"}}


def test_max_completion_tokens_wins() -> None:
    assert decode_chat(max_tokens=3)[0].sampling_params().max_tokens == 3
    request, warnings = decode_chat(max_tokens=3, max_completion_tokens=5)
    assert request.sampling_params().max_tokens == 5
    assert warnings == ("max_tokens",)
    assert decode_chat(max_tokens=-1, max_completion_tokens=5)[1] == ()


@pytest.mark.parametrize(
    ("last", "fields", "continues", "opens"),
    [
        (USER, {}, False, True),
        (USER, {"add_generation_prompt": True}, False, True),
        (USER, {"add_generation_prompt": False}, False, False),
        (USER, {"continue_final_message": False}, False, True),
        (ANSWER, {}, True, True),
        (ANSWER, {"add_generation_prompt": False}, True, False),
        (ANSWER, {"add_generation_prompt": True}, False, True),
        (ANSWER, {"continue_final_message": True}, True, True),
        (
            ANSWER,
            {"continue_final_message": True, "add_generation_prompt": False},
            True,
            False,
        ),
        (ANSWER, {"continue_final_message": False}, False, True),
        (
            ANSWER,
            {"continue_final_message": False, "add_generation_prompt": False},
            False,
            False,
        ),
        (ANSWER | {"tool_calls": []}, {}, True, True),
        (ANSWER | {"tool_calls": [CALL]}, {}, False, True),
        (ANSWER | {"function_call": CALL["function"]}, {}, False, True),
    ],
)
def test_an_answer_goes_on_or_is_a_new_message(
    last: dict[str, Any], fields: dict[str, bool], continues: bool, opens: bool
) -> None:
    request, warnings = decode_chat(messages=[USER, last], **fields)
    assert (request.continues_last, request.opens_answer, warnings) == (continues, opens, ())


@pytest.mark.parametrize(
    ("last", "fields"),
    [
        (ANSWER, {"continue_final_message": True, "add_generation_prompt": True}),
        (USER, {"continue_final_message": True}),
        (ANSWER | {"tool_calls": [CALL]}, {"continue_final_message": True}),
    ],
)
def test_what_cannot_be_continued_is_refused(last: dict[str, Any], fields: dict[str, bool]) -> None:
    error = refused_chat(messages=[USER, last], **fields)
    assert (error.param, error.code) == ("continue_final_message", "invalid_value")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ({"functions": [{"name": "f"}], "function_call": {"name": "f"}}, "function_call"),
        (
            {"tools": [TOOL], "tool_choice": "required", "continue_final_message": True},
            "continue_final_message",
        ),
    ],
)
def test_what_has_begun_as_text_cannot_be_a_call(fields: dict[str, Any], param: str) -> None:
    error = refused_chat(messages=[USER, ANSWER], **fields)
    assert (error.param, error.code) == (param, "invalid_value")
    decode_chat(messages=[USER, ANSWER], **fields | {"continue_final_message": False})
    decode_chat(messages=[USER, ANSWER], tools=[TOOL])


def test_variables_of_the_template_win_in_order() -> None:
    kwargs = {"reasoning_effort": "x", "thinking": True, "verbosity": 3}
    request, warnings = decode_chat(
        reasoning_effort="none", verbosity="low", chat_template_kwargs=kwargs
    )
    assert request.template_kwargs() == kwargs | {"enable_thinking": False}
    assert warnings == ()


@pytest.mark.parametrize(
    ("variables", "unused"),
    [
        ("", "verbosity reasoning_effort reasoning chat_template_kwargs.x"),
        ("x", "verbosity reasoning_effort reasoning"),
        ("verbosity reasoning_effort", "reasoning chat_template_kwargs.x"),
        ("enable_thinking", "verbosity chat_template_kwargs.x"),
        ("thinking", "verbosity chat_template_kwargs.x"),
    ],
)
def test_fields_that_the_template_does_not_look_at_are_known(variables: str, unused: str) -> None:
    request, _ = decode_chat(
        reasoning_effort="none",
        reasoning={"enabled": False},
        verbosity="high",
        chat_template_kwargs={"x": None},
    )
    assert request.unused_options(frozenset(variables.split())) == tuple(unused.split())
    assert decode_chat()[0].unused_options(frozenset()) == ()


def test_template_kwargs_are_scalars() -> None:
    kwargs = {"enable_thinking": False, "effort": "low", "budget": 5, "x": 0.5, "none": None}
    assert decode_chat(chat_template_kwargs=kwargs)[0].template_kwargs() == kwargs
    assert refused_chat(chat_template_kwargs={"a": []}).code == "invalid_type"


@pytest.mark.parametrize("name", sorted(RESERVED_TEMPLATE_KWARGS))
def test_template_kwargs_cannot_replace_what_the_server_sets(name: str) -> None:
    error = refused_chat(chat_template_kwargs={name: "x"})
    assert (error.param, error.code) == (f"chat_template_kwargs.{name}", "invalid_value")


def test_hints_are_checked_and_noted() -> None:
    noted = {
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        "prediction": {"type": "content", "content": "x"},
        "audio": {"voice": "a", "format": "wav"},
        "metadata": {"a": "b"},
        "parallel_tool_calls": True,
    }
    assert set(decode_chat(**noted)[1]) == set(noted)
    for name in noted:
        assert refused_chat(**{name: 5}).param == name


def test_a_prediction_may_have_parts() -> None:
    parts = [{"type": "text", "text": "x"}]
    prediction = {"type": "content", "content": parts}
    assert decode_chat(prediction=prediction)[1] == ("prediction",)
    error = refused_chat(prediction={"type": "content", "content": [{"type": "image_url"}]})
    assert error.param == "prediction.content[0].type"


def test_fields_of_user_interfaces_are_unknown() -> None:
    fields = {"chat_id": "c", "session_id": "s", "features": {"web_search": False}}
    assert set(decode_chat(**fields)[1]) == set(fields)


def test_schemas_cost_next_to_nothing() -> None:
    """A request of two kilobytes takes some 30 microseconds; the limit leaves room for anything."""
    turn = [{"role": role, "content": "x" * 180} for role in ("user", "assistant")]
    choices, usage = [Choice(0, "x" * 500, "stop")], Usage(2, 3)

    def both() -> None:
        decode_chat(messages=turn * 5, temperature=0.5, stop=["a", "b"], seed=5)
        encode_chat(HEAD, choices, usage)

    assert min(timeit.repeat(both, number=1, repeat=200)) < 1e-3
