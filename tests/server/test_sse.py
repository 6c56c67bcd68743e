"""What a stream writes, in which order, and how it ends."""

from __future__ import annotations

import json
import logging

import pytest

from cria.api.chat_answer import ChatChunks, ChatStyle
from cria.api.completions import CompletionChunks
from cria.api.events import (
    CallDelta,
    CallStarted,
    ChoiceDelta,
    ChoiceFinished,
    Heartbeat,
    ReasoningDelta,
)
from cria.api.extras import Extras, Truncated
from cria.api.head import ResponseHead
from cria.errors import ClientGone, EngineDied
from cria.server import sse
from tests.fakes import HELLO, FakeRun, Script

HEAD = ResponseHead("id", 1, "m", "f")
CHUNKS = CompletionChunks(HEAD, False)


def play(script: Script) -> list[bytes]:
    return list(sse.stream_events(FakeRun(script, 0), CHUNKS, False))


def payload(event: bytes) -> dict[str, object]:
    assert event.startswith(b"data: ") and event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    decoded: dict[str, object] = json.loads(event[6:])
    return decoded


def test_a_completion_is_text_finish_done() -> None:
    events = play(HELLO)
    assert [payload(e)["choices"][0]["text"] for e in events[:-1]] == ["Hello", " world", ""]  # type: ignore[index]
    assert payload(events[-2])["choices"][0]["finish_reason"] == "stop"  # type: ignore[index]
    assert events[-1] == b"data: [DONE]\n\n"


def test_a_chat_begins_with_one_role_for_each_choice() -> None:
    script = [
        ChoiceDelta(1, "b"),
        ChoiceDelta(0, "a"),
        ChoiceFinished(1, "stop"),
        ChoiceFinished(0, "length"),
    ]
    chunks = ChatChunks(HEAD, True)
    events = list(sse.stream_events(FakeRun(script, 0), chunks, True))
    choices = [payload(event)["choices"] for event in events[:-1]]
    assert [(c[0]["index"], "role" in c[0]["delta"]) for c in choices[:-1]] == [  # type: ignore[index]
        (0, True),
        (1, True),
        (1, False),
        (0, False),
        (1, False),
        (0, False),
    ]
    assert choices[-1] == []
    assert payload(events[-2])["usage"]["total_tokens"] == 5  # type: ignore[index]


def test_thinking_text_and_calls_are_deltas() -> None:
    script = [
        ReasoningDelta(0, "hm"),
        ChoiceDelta(0, "a"),
        CallStarted(0, 0, "call_1", "f"),
        CallDelta(0, 0, "{}"),
        ChoiceFinished(0, "tool_calls"),
    ]
    events = list(sse.stream_events(FakeRun(script, 0), ChatChunks(HEAD, False), False))
    deltas = [payload(event)["choices"][0]["delta"] for event in events[:-1]]  # type: ignore[index]
    assert [list(delta) for delta in deltas] == [
        ["role", "content", "refusal"],
        ["reasoning_content"],
        ["content"],
        ["tool_calls"],
        ["tool_calls"],
        [],
    ]


def test_thinking_that_is_not_shown_keeps_the_connection_awake() -> None:
    script = [ReasoningDelta(0, "secret"), *HELLO]
    chunks = ChatChunks(HEAD, False, style=ChatStyle(()))
    events = list(sse.stream_events(FakeRun(script, 0), chunks, False))
    assert events[1] == b": ping\n\n"
    assert b"secret" not in b"".join(events)


def test_a_heartbeat_is_a_comment() -> None:
    assert play([Heartbeat(), *HELLO])[0] == b": ping\n\n"


def test_a_failure_is_an_event_without_done() -> None:
    events = play([ChoiceDelta(0, "a"), EngineDied("the engine died")])
    assert payload(events[-1]) == {
        "error": {
            "message": "the engine died",
            "type": "server_error",
            "param": None,
            "code": "engine_crashed",
        }
    }
    assert len(events) == 2


def test_a_bug_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        events = play([KeyError("secret")])
    assert b"secret" not in events[0]
    assert "KeyError" in caplog.text


def test_an_expected_failure_leaves_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    play([EngineDied("x")])
    assert caplog.text == ""


def test_nothing_is_written_to_a_client_that_is_gone() -> None:
    assert play([ChoiceDelta(0, "a"), ClientGone("gone")])[1:] == []


def test_closing_a_stream_that_nobody_read_still_lets_go() -> None:
    let_go: list[str] = []
    run = FakeRun(HELLO, 0)
    events = sse.stream_events(run, CHUNKS, False)
    sse.EventStream(events, lambda: let_go.append("yes")).close()
    assert let_go == ["yes"]


def test_closing_in_the_middle_ends_the_run() -> None:
    run = FakeRun(HELLO, 0)
    stream = sse.EventStream(sse.stream_events(run, CHUNKS, False), run.cancel)
    next(iter(stream))
    assert run.open
    stream.close()
    assert not run.open


def test_ids_and_extras_are_passed_on() -> None:
    extras = Extras(truncated=Truncated("shift", 3, 3, shifts=1))
    run = FakeRun([ChoiceDelta(0, "a", (), (5,)), ChoiceFinished(0, "stop", (6,), extras)], 0)
    run.returns_token_ids, run.extras = True, extras
    events = [payload(event) for event in sse.stream_events(run, CHUNKS, True) if b"{" in event]
    ids = [event["choices"][0]["token_ids"] for event in events[:-1]]  # type: ignore[index]
    assert ids == [[], [5], [6]]
    assert events[0]["choices"][0]["prompt_token_ids"] == [1, 2, 3]  # type: ignore[index]
    assert ["truncated" in event for event in events] == [False, False, True, True]
