from __future__ import annotations

import json
from typing import Any

from cria.api.anthropic.message import SIGNATURE, MessageHead
from cria.api.anthropic.stream import MessageStream
from cria.api.events import ChoiceDelta, ChoiceFinished, Event, Heartbeat
from cria.api.usage import Usage
from tests.api.anthropic.test_answer_blocks import CALLS

HEAD = MessageHead("msg_1", "m", 100)


def play(*events: Event, head: MessageHead = HEAD) -> list[dict[str, Any]]:
    """The data of each event, whose name it has to repeat."""
    stream = MessageStream(head)
    data = stream.start(Usage(7, 0))
    for event in events:
        data += b"".join(stream.feed(event))
        if isinstance(event, ChoiceFinished):
            data += b"".join(stream.finish(event, Usage(7, 3, 4)))
    parts = data.decode().split("\n\n")
    assert parts.pop() == ""
    return [parse(part) for part in parts]


def parse(part: str) -> dict[str, Any]:
    assert part.splitlines() == part.split("\n")
    name, data = part.split("\n")
    found: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert name == f"event: {found['type']}"
    return found


def test_a_text() -> None:
    told = play(ChoiceDelta(0, "He"), ChoiceDelta(0, "y"), ChoiceFinished(0, "stop"))
    usage = {"cache_creation_input_tokens": 0}
    assert told == [
        {
            "type": "message_start",
            "message": {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "model": "m",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": 7,
                    "output_tokens": 0,
                    "cache_read_input_tokens": 0,
                    **usage,
                },
            },
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        delta(0, type="text_delta", text="He"),
        delta(0, type="text_delta", text="y"),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 3,
                "output_tokens": 3,
                "cache_read_input_tokens": 4,
                **usage,
            },
        },
        {"type": "message_stop"},
    ]


def delta(index: int, **members: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": members}


def test_thinking_text_and_calls_one_after_another() -> None:
    told = play(*CALLS)
    assert {"type": "ping"} in told
    blocks = [each for each in told if each["type"].startswith("content_block")]
    starts = {e["index"]: e["content_block"] for e in blocks if "content_block" in e}
    assert starts == {
        0: {"type": "thinking", "thinking": "", "signature": ""},
        1: {"type": "text", "text": ""},
        2: {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        3: {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    }
    assert [each["index"] for each in blocks] == sorted(each["index"] for each in blocks)
    assert [each["delta"] for each in blocks if "delta" in each] == [
        {"type": "thinking_delta", "thinking": "h"},
        {"type": "thinking_delta", "thinking": "m"},
        {"type": "signature_delta", "signature": SIGNATURE},
        {"type": "text_delta", "text": "I "},
        {"type": "text_delta", "text": "call."},
        {"type": "input_json_delta", "partial_json": '{"a":'},
        {"type": "input_json_delta", "partial_json": "1}"},
        {"type": "input_json_delta", "partial_json": "{}"},
    ]
    assert told[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


def test_hidden_thinking_has_a_signature_alone() -> None:
    told = play(*CALLS, head=MessageHead("msg_1", "m", 100, hides_thinking=True))
    deltas = [each["delta"]["type"] for each in told if each["type"] == "content_block_delta"]
    assert deltas[:2] == ["signature_delta", "text_delta"]


def test_the_stop_sequence_is_told() -> None:
    told = play(ChoiceFinished(0, "stop", stop_string="\u2028"))
    assert told[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "\u2028"}
    assert len(told) == 3


def test_line_ends_of_all_kinds_stay_in_their_event() -> None:
    told = play(ChoiceDelta(0, "a\nb\r\x85\u2028\u2029"), Heartbeat())
    assert told[2]["delta"]["text"] == "a\nb\r\x85\u2028\u2029"
    assert told[3] == {"type": "ping"}
