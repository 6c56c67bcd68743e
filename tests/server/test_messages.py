"""Whole and streamed messages over runs that play a script."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from flask import Flask

from cria.api.anthropic.chat_request import Origins
from cria.api.anthropic.message import MessageHead
from cria.api.events import ChoiceDelta, Heartbeat
from cria.errors import ClientGone, EngineDied, RequestError
from cria.server.messages import message_events, message_response, message_stream
from tests.api.anthropic.test_answer_blocks import CALLS
from tests.fakes import HELLO, FakeRun, Script

HEAD = MessageHead("msg_1", "m", 100)
ORIGINS = Origins(("messages[0]",), (), "output_config.format")


def play(script: Script) -> list[bytes]:
    run: Any = FakeRun(script, 0)
    return list(message_events(run, HEAD, ORIGINS, "req_1"))


def whole(script: Script) -> dict[str, Any]:
    run: Any = FakeRun(script, 0)
    response = message_response(run, HEAD, ORIGINS, {})
    assert not run.open
    found: dict[str, Any] = response.get_json()
    return found


def payload(event: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.rpartition(b"data: ")[2])
    return found


def test_a_whole_message() -> None:
    message = whole(HELLO)
    assert message["content"] == [{"type": "text", "text": "Hello world"}]
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("end_turn", 2)


def test_a_whole_message_with_calls() -> None:
    message = whole(CALLS)
    assert [block["type"] for block in message["content"]] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert message["content"][2]["input"] == {"a": 1}
    assert message["stop_reason"] == "tool_use"


def test_one_event_of_a_run_is_one_write() -> None:
    events = play([Heartbeat(), *HELLO])
    assert [event.count(b"event: ") for event in events] == [1, 1, 2, 1, 3]
    assert events[1] == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert events[-1].endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_a_failure_is_the_last_event() -> None:
    events = play([ChoiceDelta(0, "a"), EngineDied("the engine died")])
    assert events[-1].startswith(b"event: error\n")
    assert payload(events[-1]) == {
        "type": "error",
        "error": {"type": "api_error", "message": "the engine died"},
        "request_id": "req_1",
    }


def test_a_refusal_on_the_way_names_the_field_that_was_sent() -> None:
    error = RequestError("It cannot go on.", param="response_format.json_schema.schema")
    told = payload(play([error])[-1])["error"]
    assert told["message"] == "output_config.format.schema: It cannot go on."
    with pytest.raises(RequestError) as caught:
        whole([error])
    assert caught.value.param == "output_config.format.schema"


def test_a_bug_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        events = play([KeyError("secret")])
    assert b"secret" not in events[-1]
    assert "KeyError" in caplog.text


def test_nothing_is_written_to_a_client_that_is_gone() -> None:
    assert len(play([ClientGone("gone")])) == 1


def test_a_stream_that_nobody_reads_ends_its_run() -> None:
    run: Any = FakeRun(HELLO, 0)
    with Flask("test").test_request_context("/v1/messages"):
        response = message_stream(run, HEAD, ORIGINS, {})
    assert response.content_type.startswith("text/event-stream")
    response.close()
    assert not run.open
