from __future__ import annotations

import json

import msgspec
import pytest

from cria.api.anthropic.message import (
    MessageHead,
    MessageText,
    input_of,
    message_id,
    message_usage,
    tool_use_id,
)
from cria.api.events import ChoiceFinished
from cria.api.usage import Usage

HEAD = MessageHead("msg_1", "m", 10)


def test_a_whole_message() -> None:
    message = HEAD.message(Usage(7, 2, 5), [MessageText("a")], ChoiceFinished(0, "stop"))
    assert json.loads(msgspec.json.encode(message)) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "a"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 2,
            "output_tokens": 2,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 0,
        },
    }


def test_the_beginning_of_one_has_not_stopped() -> None:
    message = HEAD.message(Usage(7, 0))
    assert (message.content, message.stop_reason, message.stop_sequence) == ([], None, None)


@pytest.mark.parametrize(
    ("reason", "stop_string", "num_tokens", "told"),
    [
        ("stop", None, 3, "end_turn"),
        ("stop", "x", 3, "stop_sequence"),
        ("length", None, 10, "max_tokens"),
        ("length", None, 9, "model_context_window_exceeded"),
        ("tool_calls", None, 3, "tool_use"),
    ],
)
def test_why_it_stopped(reason: str, stop_string: str | None, num_tokens: int, told: str) -> None:
    finished = ChoiceFinished(0, reason, stop_string=stop_string)
    message = HEAD.message(Usage(1, num_tokens), (), finished)
    assert (message.stop_reason, message.stop_sequence) == (told, stop_string)


def test_thinking_is_counted() -> None:
    usage = msgspec.to_builtins(message_usage(Usage(7, 5, 0, 3)))
    assert usage["output_tokens_details"] == {"thinking_tokens": 3}


def test_ids() -> None:
    assert message_id("chatcmpl-abc") == "msg_abc"
    assert tool_use_id("call_" + "a" * 24) == "toolu_" + "a" * 24


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        ('{"a": [1, 2.5]}', {"a": [1, 2.5]}),
        ("{}", {}),
        ("", {}),
        ('{"a": 1', {}),
        ("[1]", {}),
        ("[" * 100_000, {}),
        ("\ud800", {}),
    ],
)
def test_the_input_is_an_object(arguments: str, made: object) -> None:
    assert input_of(arguments) == made
