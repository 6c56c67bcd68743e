from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from cria.api.chat_answer import USUAL, ChatChunks, ChatStyle, encode_chat
from cria.api.events import CallDelta, CallStarted, ReasoningDelta
from cria.api.extras import Extras, Truncated
from cria.api.head import Call, Choice, ResponseHead
from cria.api.logprobs import ScoredToken
from cria.api.usage import Usage

HEAD = ResponseHead("chatcmpl-1", 1_700_000_000, "m", "fp")
LEGACY = ChatStyle(is_legacy=True)
TOKEN = ScoredToken(b"x", True, -0.5, [], 0)
FUNCTION = Call("call_1", "f", '{"a":1}')
CUSTOM = Call("call_2", "g", "some text", "custom")


def message(choice: Choice, style: ChatStyle = USUAL) -> dict[str, Any]:
    answer = json.loads(encode_chat(HEAD, [choice], Usage(2, 3), style=style))
    found: dict[str, Any] = answer["choices"][0]
    return found["message"] | {"finish_reason": found["finish_reason"]}


def delta(chunk: bytes | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(chunk or b"")["choices"][0]["delta"]
    return found


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


def test_the_answer_has_what_was_asked_for_beside_it() -> None:
    choice = Choice(0, "a", "stop", token_ids=(5, 6), prompt_token_ids=[1, 2])
    extras = Extras(truncated=Truncated("truncate_left", 3, 2, dropped_messages=1))
    answer = json.loads(encode_chat(HEAD, [choice], Usage(2, 2), extras))
    assert answer["truncated"]["dropped_messages"] == 1
    assert answer["choices"][0]["token_ids"] == [5, 6]
    assert answer["prompt_token_ids"] == [1, 2]


def test_the_tokens_of_the_prompt_open_a_stream() -> None:
    chunks = ChatChunks(HEAD, include_usage=True)
    opening = json.loads(chunks.start(0, [1, 2]) or b"")
    assert (opening["prompt_token_ids"], opening["usage"]) == ([1, 2], None)
    assert opening["choices"][0]["token_ids"] == []
    assert opening["choices"][0]["delta"]["role"] == "assistant"


def test_calls_without_text() -> None:
    answer = message(Choice(0, "", "tool_calls", calls=(FUNCTION, CUSTOM)))
    assert answer == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "f", "arguments": '{"a":1}'},
            },
            {"id": "call_2", "type": "custom", "custom": {"name": "g", "input": "some text"}},
        ],
        "finish_reason": "tool_calls",
    }


def test_calls_beside_text() -> None:
    answer = message(Choice(0, "Wait.", "tool_calls", calls=(FUNCTION,)))
    assert (answer["content"], len(answer["tool_calls"])) == ("Wait.", 1)


def test_a_call_in_the_older_form() -> None:
    answer = message(Choice(0, "", "tool_calls", calls=(FUNCTION,)), LEGACY)
    assert answer["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert (answer["finish_reason"], "tool_calls" in answer) == ("function_call", False)
    assert message(Choice(0, "hi", "stop"), LEGACY)["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "names", [(), ("reasoning_content",), ("reasoning",), ("reasoning_content", "reasoning")]
)
def test_thinking_by_any_name(names: tuple[str, ...]) -> None:
    style = ChatStyle(names)
    answer = message(Choice(0, "hi", "stop", reasoning="hm"), style)
    assert {n: v for n, v in answer.items() if "reasoning" in n} == dict.fromkeys(names, "hm")
    assert not any("reasoning" in name for name in message(Choice(0, "hi", "stop"), style))
    chunks = ChatChunks(HEAD, False, style=style)
    chunk = chunks.reasoning(ReasoningDelta(0, "h\u2028m"))
    assert chunk is None if not names else delta(chunk) == dict.fromkeys(names, "h\u2028m")


def test_ids_of_thinking_that_is_not_shown_are() -> None:
    chunks = ChatChunks(HEAD, False, style=ChatStyle(()))
    chunk = chunks.reasoning(ReasoningDelta(1, "secret", (TOKEN,), (5,)))
    (choice,) = json.loads(chunk or b"")["choices"]
    assert choice == {
        "index": 1,
        "delta": {},
        "logprobs": None,
        "finish_reason": None,
        "token_ids": [5],
    }


def test_a_streamed_call_has_its_name_and_id_once() -> None:
    chunks = ChatChunks(HEAD, False)
    assert [
        delta(chunks.call_started(CallStarted(0, 0, "call_1", "f"))),
        delta(chunks.call_delta(CallDelta(0, 0, '{"a"'))),
        delta(chunks.call_started(CallStarted(0, 1, "call_2", "g", "custom"))),
        delta(chunks.call_delta(CallDelta(0, 1, "text"))),
        delta(chunks.call_started(CallStarted(0, 2, "call_3", "f"))),
        delta(chunks.call_delta(CallDelta(0, 2, "{}"))),
    ] == [
        {"tool_calls": [call]}
        for call in (
            {
                "index": 0,
                "id": "call_1",
                "type": "function",
                "function": {"name": "f", "arguments": ""},
            },
            {"index": 0, "function": {"arguments": '{"a"'}},
            {"index": 1, "id": "call_2", "type": "custom", "custom": {"name": "g", "input": ""}},
            {"index": 1, "custom": {"input": "text"}},
            {
                "index": 2,
                "id": "call_3",
                "type": "function",
                "function": {"name": "f", "arguments": ""},
            },
            {"index": 2, "function": {"arguments": "{}"}},
        )
    ]


def test_each_choice_has_its_own_kind_of_call() -> None:
    chunks = ChatChunks(HEAD, False)
    chunks.call_started(CallStarted(0, 0, "call_1", "g", "custom"))
    chunks.call_started(CallStarted(1, 0, "call_2", "f"))
    (first,) = delta(chunks.call_delta(CallDelta(0, 0, "x")))["tool_calls"]
    (second,) = delta(chunks.call_delta(CallDelta(1, 0, "y")))["tool_calls"]
    assert (first["custom"], second["function"]) == ({"input": "x"}, {"arguments": "y"})


def test_a_streamed_call_in_the_older_form() -> None:
    chunks = ChatChunks(HEAD, False, style=LEGACY)
    started = delta(chunks.call_started(CallStarted(0, 0, "call_1", "f")))
    assert started == {"function_call": {"name": "f", "arguments": ""}}
    more = delta(chunks.call_delta(CallDelta(0, 0, "{}")))
    assert more == {"function_call": {"arguments": "{}"}}
    finish = json.loads(chunks.finish(0, "tool_calls"))
    assert finish["choices"][0]["finish_reason"] == "function_call"


def test_tokens_and_ids_ride_along() -> None:
    chunks = ChatChunks(HEAD, False)
    for chunk in (
        chunks.reasoning(ReasoningDelta(0, "x", (TOKEN,), (5, 6))),
        chunks.call_started(CallStarted(0, 0, "c", "f", "function", (TOKEN,), (5, 6))),
        chunks.call_delta(CallDelta(0, 0, "x", (TOKEN,), (5, 6))),
    ):
        (choice,) = json.loads(chunk or b"")["choices"]
        assert choice["token_ids"] == [5, 6]
        assert [token["token"] for token in choice["logprobs"]["content"]] == ["x"]
