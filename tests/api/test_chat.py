from __future__ import annotations

import json
import timeit

import msgspec
import pytest

from cria.api.chat import RESERVED_TEMPLATE_KWARGS, ChatChunks, encode_chat
from cria.api.head import Choice, ResponseHead
from cria.api.usage import Usage
from tests.api.requests import decode_chat, refused_chat

HEAD = ResponseHead("chatcmpl-1", 1_700_000_000, "m", "fp")


def test_max_completion_tokens_wins() -> None:
    assert decode_chat(max_tokens=3)[0].sampling_params().max_tokens == 3
    request, _ = decode_chat(max_tokens=3, max_completion_tokens=5)
    assert request.sampling_params().max_tokens == 5


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
        "prompt_cache_options": {},
        "prediction": {"type": "content", "content": "x"},
        "reasoning_effort": "none",
        "parallel_tool_calls": True,
    }
    assert set(decode_chat(**noted)[1]) == set(noted)
    for name in noted:
        assert refused_chat(**{name: 5}).param == name


def test_the_answer_has_every_key() -> None:
    answer = json.loads(encode_chat(HEAD, [Choice(0, "hi", "stop")], Usage(2, 3, 1)))
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 1
    del answer["usage"]
    assert answer == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m",
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hi", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }


def test_the_answer_names_the_tier_if_the_request_did() -> None:
    head = msgspec.structs.replace(HEAD, service_tier="flex")
    assert json.loads(encode_chat(head, [], Usage(2, 3)))["service_tier"] == "flex"
    assert "service_tier" not in json.loads(encode_chat(HEAD, [], Usage(2, 3)))


def test_a_stream_names_the_role_once_and_ends_without_content() -> None:
    chunks = ChatChunks(HEAD, include_usage=False)
    stream = [chunks.start(1), chunks.delta(1, "hi"), chunks.finish(1, "stop")]
    parsed = [json.loads(chunk or b"") for chunk in stream]
    assert [chunk["choices"][0]["delta"] for chunk in parsed] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "hi"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in parsed] == [None, None, "stop"]
    for chunk in parsed:
        assert chunk["object"] == "chat.completion.chunk"
        assert chunk["choices"][0]["index"] == 1
        assert chunk["choices"][0]["logprobs"] is None
        assert "usage" not in chunk


def test_schemas_cost_next_to_nothing() -> None:
    """A request of two kilobytes takes some 30 microseconds; the limit leaves room for anything."""
    turn = [{"role": role, "content": "x" * 180} for role in ("user", "assistant")]
    choices, usage = [Choice(0, "x" * 500, "stop")], Usage(2, 3)

    def both() -> None:
        decode_chat(messages=turn * 5, temperature=0.5, stop=["a", "b"], seed=5)
        encode_chat(HEAD, choices, usage)

    assert min(timeit.repeat(both, number=1, repeat=200)) < 1e-3
