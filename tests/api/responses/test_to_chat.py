"""A response is a chat in other words."""

from __future__ import annotations

from typing import Any

import pytest

from cria.api.chat import ChatCompletionRequest
from cria.api.constraints import JsonObjectFormat
from cria.api.responses.input_items import MessageInput
from cria.api.responses.request import LOGPROBS
from cria.api.responses.to_chat import to_chat, tool_paths
from cria.errors import RequestError
from tests.api.responses.making import made

HI = MessageInput("user", "hi")


def chat(**fields: Any) -> ChatCompletionRequest:
    return to_chat(made(**fields), [HI], "m")


def test_the_defaults() -> None:
    request = chat()
    assert request.template_messages() == [{"role": "user", "content": "hi"}]
    assert (request.model, request.token_limit(), request.num_logprobs) == ("m", -1, None)
    assert (request.constraint, request.tools, request.context_overflow) == (None, [], "error")


def test_fields_by_their_other_names() -> None:
    request = chat(
        instructions="i",
        max_output_tokens=7,
        include=[LOGPROBS],
        top_logprobs=2,
        tools=[{"type": "function", "name": "f"}],
        tool_choice="auto",
        parallel_tool_calls=False,
        truncation="auto",
        service_tier="ultrafast",
        reasoning={"effort": "low"},
        chat_template_kwargs={"x": 1},
        text={"format": {"type": "json_object"}, "verbosity": "low"},
    )
    assert [m["role"] for m in request.template_messages()] == ["system", "user"]
    assert (request.token_limit(), request.num_logprobs) == (7, 2)
    assert [tool.function.name for tool in request.tools] == ["f"]  # type: ignore[union-attr]
    assert (request.tool_choice, request.parallel_tool_calls) == ("auto", False)
    assert (request.context_overflow, request.tier_served) == ("truncate_left", "priority")
    assert request.response_format == JsonObjectFormat()
    kwargs = {"verbosity": "low", "reasoning_effort": "low", "x": 1}
    assert request.template_kwargs() == kwargs


def test_sampling_fields_are_those_of_a_chat() -> None:
    fields = {
        "temperature": 0.5, "top_p": 0.9, "top_k": 3, "min_p": 0.1, "seed": 7, "stop": ["x"],
        "presence_penalty": 1.0, "frequency_penalty": 0.5, "repeat_penalty": 1.1, "min_tokens": 2,
        "dry_multiplier": 0.5, "xtc_probability": 0.1, "stop_token_ids": [5], "priority": 3,
    }  # fmt: skip
    request = chat(**fields)
    assert request.stop == ("x",)
    for name, value in fields.items():
        if name != "stop":
            assert getattr(request, name) == value


def test_an_answer_at_the_end_is_not_continued() -> None:
    said = MessageInput("assistant", "a")
    assert not to_chat(made(), [HI, said], "m").continues_last


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"chat_template_kwargs": {"messages": "x"}}, "chat_template_kwargs.messages"),
        ({"context_overflow": "truncate_left", "n_keep": 3}, "n_keep"),
    ],
)
def test_what_a_chat_refuses_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        chat(**fields)
    assert caught.value.param == param


def test_nothing_to_say_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        to_chat(made(), [], "m")
    assert caught.value.param == "input"


def test_tools_stand_where_they_were_sent() -> None:
    inner = {"type": "function", "name": "f"}
    space = {"type": "namespace", "name": "n", "tools": [inner]}
    assert tool_paths(made(tools=[space, {**inner, "name": "g"}])) == [
        "tools[0].tools[0]",
        "tools[1]",
    ]
