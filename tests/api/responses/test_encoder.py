"""Events of a run become events of a response, and the response itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.events import (
    CallDelta,
    CallStarted,
    ChoiceDelta,
    ChoiceFinished,
    Event,
    Heartbeat,
    ReasoningDelta,
)
from cria.api.logprobs import ScoredToken
from cria.api.responses.encoder import ResponseEncoder, Shown
from cria.api.responses.response_object import Response
from cria.api.responses.stream_events import StreamEvent
from cria.api.usage import Usage
from tests.api.responses.making import sent

USAGE = Usage(5, 3, 2, 1)
STOP = ChoiceFinished(0, "stop")
CALLS = ChoiceFinished(0, "tool_calls")
LENGTH = ChoiceFinished(0, "length")


def started(status: Any = "in_progress", shown: Shown = Shown()) -> ResponseEncoder:  # noqa: B008
    response = Response(id="resp_1", created_at=1, model="m", status=status)
    return ResponseEncoder(response, shown, clock=lambda: 7.5)


def told(script: Sequence[Event], encoder: ResponseEncoder) -> list[dict[str, Any]]:
    """All events, as a client reads them."""
    events: list[StreamEvent] = encoder.start()
    for event in script:
        events += encoder.feed(event)
    return sent([*events, *encoder.finish(USAGE)])


def names(events: Sequence[dict[str, Any]]) -> str:
    """Without the deltas."""
    short = [event["type"].removeprefix("response.") for event in events]
    return " ".join(name for name in short if not name.endswith("delta"))


def test_text() -> None:
    encoder = started()
    events = told([ChoiceDelta(0, "a"), Heartbeat(), ChoiceDelta(0, "b"), STOP], encoder)
    assert names(events) == (
        "created in_progress output_item.added content_part.added output_text.done "
        "content_part.done output_item.done completed"
    )
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[0]["response"]["status"], events[0]["response"]["output"]) == ("in_progress", [])
    final = events[-1]["response"]
    assert (final["status"], final["completed_at"]) == ("completed", 7)
    assert final["output"] == [events[-2]["item"]]
    assert final["output"][0]["content"][0]["text"] == "ab"
    assert final["usage"]["total_tokens"] == 8
    assert encoder.response.status == "completed"


def test_thinking_text_and_calls_are_items_in_the_order_in_which_they_came() -> None:
    script = [
        ReasoningDelta(0, "hm"),
        ReasoningDelta(0, "!"),
        ChoiceDelta(0, "Well"),
        CallStarted(0, 0, "call_a", "f"),
        CallDelta(0, 0, "{}"),
        CallStarted(0, 1, "call_b", "g", "custom"),
        CallDelta(0, 1, "x"),
        CallDelta(0, 1, "y"),
        CALLS,
    ]
    events = told(script, started(shown=Shown(namespaces={"g": "n"})))
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
    ]
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in added] == [0, 1, 2, 3]
    assert [event["item"]["id"] for event in added] == [item["id"] for item in output]
    assert [event["item"] for event in done] == output
    assert output[0]["content"][0]["text"] == "hm!"
    assert (output[2]["call_id"], output[2]["arguments"]) == ("call_a", "{}")
    assert (output[3]["input"], output[3]["namespace"]) == ("xy", "n")
    # An item is closed before the next one begins.
    order = [(event["type"].rpartition(".")[2], event["output_index"]) for event in added + done]
    assert sorted(order) == sorted((kind, n) for kind in ("added", "done") for n in range(4))
    spots = {event["sequence_number"]: event for event in [*added, *done]}
    kinds = [spots[number]["type"].rpartition(".")[2] for number in sorted(spots)]
    assert kinds == ["added", "done"] * 4


def test_what_follows_a_call_is_a_new_message() -> None:
    script = [
        ChoiceDelta(0, "a"),
        CallStarted(0, 0, "call_a", "f"),
        CallDelta(0, 0, "{}"),
        ChoiceDelta(0, "b"),
        CALLS,
    ]
    output = told(script, started())[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "message"]
    assert output[0]["id"] != output[2]["id"]


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ([ChoiceDelta(0, "a"), LENGTH], ["message"]),
        ([ReasoningDelta(0, "hm"), LENGTH], ["reasoning"]),
        ([CallStarted(0, 0, "call_a", "f"), CallDelta(0, 0, '{"a'), LENGTH], ["function_call"]),
    ],
)
def test_an_answer_that_is_cut_is_incomplete(script: list[Event], kinds: list[str]) -> None:
    events = told(script, started())
    final = events[-1]["response"]
    assert events[-1]["type"] == "response.incomplete"
    assert (final["status"], final["completed_at"]) == ("incomplete", None)
    assert final["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["type"] for item in final["output"]] == kinds
    assert final["output"][-1]["status"] == "incomplete"
    assert final["usage"] is not None


def test_an_empty_answer_is_an_empty_message() -> None:
    output = told([ChoiceDelta(0, ""), STOP], started())[-1]["response"]["output"]
    assert [item["content"][0]["text"] for item in output] == [""]


def test_what_is_to_be_shown_is_shown() -> None:
    token = ScoredToken(b"a", True, -1.0, [], 0)
    script = [ReasoningDelta(0, "hm"), ChoiceDelta(0, "a", (token,)), STOP]
    plain = told(script, started())[-1]["response"]["output"]
    assert plain[1]["content"][0]["logprobs"] == []
    shown = Shown(logprobs=True, encrypted_reasoning=True, reasoning_summary=True)
    full = told(script, started(shown=shown))[-1]["response"]["output"]
    assert full[0]["summary"] and full[0]["encrypted_content"]
    assert full[1]["content"][0]["logprobs"][0]["token"] == "a"


def test_one_in_the_background_is_queued_first() -> None:
    events = sent(started("queued").start())
    assert names(events) == "created queued in_progress"
    assert [event["response"]["status"] for event in events] == [
        "queued",
        "queued",
        "in_progress",
    ]


def test_a_failure_keeps_what_was_complete() -> None:
    encoder = started()
    encoder.start()
    encoder.feed(ReasoningDelta(0, "hm"))
    encoder.feed(ChoiceDelta(0, "a"))
    (last,) = sent(encoder.fail("server_error", "Too bad.", USAGE))
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "Too bad."}
    assert [item["type"] for item in last["response"]["output"]] == ["reasoning"]


def test_a_cancel_keeps_what_there_was() -> None:
    encoder = started("queued")
    encoder.start()
    encoder.feed(ChoiceDelta(0, "a"))
    events = sent(encoder.cancel(USAGE))
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["status"] == "cancelled"
    assert events[-1]["response"]["output"][0]["status"] == "incomplete"


TEXTS = st.text(max_size=3)
EVENTS = st.lists(
    st.one_of(
        st.builds(ChoiceDelta, st.just(0), TEXTS),
        st.builds(ReasoningDelta, st.just(0), TEXTS),
        st.builds(
            CallStarted,
            st.just(0),
            st.integers(0, 3),
            st.uuids().map(str),
            st.just("f"),
            st.sampled_from(["function", "custom"]),
        ),
        st.just(Heartbeat()),
    ),
    max_size=12,
)


@given(script=EVENTS, end=st.sampled_from([STOP, CALLS, LENGTH]))
def test_any_script_makes_a_stream_that_holds_together(script: list[Event], end: Event) -> None:
    events = told([*script, end], started())
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    output = events[-1]["response"]["output"]
    for kind in ("added", "done"):
        found = [e for e in events if e["type"] == f"response.output_item.{kind}"]
        assert [e["output_index"] for e in found] == list(range(len(output)))
        assert [e["item"]["id"] for e in found] == [item["id"] for item in output]
    deltas = [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
    texts = [i["content"][0]["text"] for i in output if i["type"] == "message"]
    assert "".join(deltas) == "".join(texts)
    assert "".join(texts) == "".join(e.text for e in script if isinstance(e, ChoiceDelta))
