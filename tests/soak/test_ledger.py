from __future__ import annotations

import json
from typing import Any

import pytest

from tests.soak.abuse import Abuse
from tests.soak.disturb import Fault
from tests.soak.exchange import Exchange
from tests.soak.invariants import check_latencies, check_logs, check_memory, check_records
from tests.soak.ledger import (
    COMPLETE,
    ERROR_BODY,
    ERROR_EVENT,
    LEFT,
    LOST,
    Record,
    count_outcomes,
    judge,
    parse_events,
)
from tests.soak.mix import Plan
from tests.soak.settings import KEY, Limits

ERROR = {"message": "m", "type": "server_error", "param": None, "code": "engine_crashed"}
PLAN = Plan("completion", "/v1/completions", stream=True, counts=True)


def chunk(tokens: list[int], reason: str | None = None, index: int = 0) -> dict[str, Any]:
    choice = {"index": index, "finish_reason": reason, "token_ids": tokens}
    return {"choices": [choice], "usage": None}


def usage(tokens: int) -> dict[str, Any]:
    return {"choices": [], "usage": {"completion_tokens": tokens}}


def stream(*events: dict[str, Any] | str) -> Exchange:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    body = "".join(f"data: {text}\n\n" for text in texts).encode()
    return Exchange(0.0, 1.0, 0.5, 200, "text/event-stream", body)


WHOLE = (chunk([1]), chunk([2], "length"), usage(2), "[DONE]")


def test_a_whole_stream_is_complete() -> None:
    record = judge(PLAN, stream(*WHOLE))
    assert (record.outcome, record.problems) == (COMPLETE, [])
    assert record.answer_seconds == 0.5


def test_an_end_token_is_counted_and_not_told() -> None:
    told = stream(chunk([1, 2], "stop"), usage(3), "[DONE]")
    assert judge(PLAN, told).problems == []


def test_comments_are_no_events() -> None:
    assert parse_events(b": ping\n\ndata: 1\n\n: ping\n\ndata: 2\n\n") == ["1", "2"]


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (WHOLE[:-1], "[DONE] 0 times"),
        ((*WHOLE, "[DONE]"), "[DONE] 2 times"),
        ((*WHOLE, chunk([3])), "or not at the end"),
        ((WHOLE[0], *WHOLE[2:]), "choices that ended: []"),
        ((WHOLE[0], WHOLE[1], *WHOLE[1:]), "choices that ended: [0, 0]"),
        ((*WHOLE[:2], "[DONE]"), "usage 0 times"),
        ((WHOLE[0], usage(2), WHOLE[1], "[DONE]"), "or not at the end"),
        ((*WHOLE[:2], usage(5), "[DONE]"), "usage says 5, 2 tokens and 0 ends came"),
        ((WHOLE[0], {"error": {"message": "m"}}), "an error with the members ['message']"),
        ((*WHOLE, {"error": ERROR}), "an error and [DONE]"),
    ],
)
def test_what_is_wrong_with_a_stream_is_said(events: tuple[Any, ...], words: str) -> None:
    assert words in " ".join(judge(PLAN, stream(*events)).problems)


def test_each_of_several_choices_ends_once() -> None:
    plan = Plan("completion", stream=True, num_choices=2, counts=True)
    ends = (chunk([1], "length", 1), chunk([2], "length", 0))
    assert judge(plan, stream(*ends, usage(2), "[DONE]")).problems == []
    assert judge(plan, stream(ends[0], usage(1), "[DONE]")).problems


def test_an_error_is_an_outcome_of_its_own() -> None:
    record = judge(PLAN, stream(WHOLE[0], {"error": ERROR}))
    assert (record.outcome, record.code, record.problems) == (ERROR_EVENT, "engine_crashed", [])
    refused = Exchange(0.0, status=503, body=json.dumps({"error": ERROR}).encode())
    record = judge(PLAN, refused)
    assert (record.outcome, record.status, record.problems) == (ERROR_BODY, 503, [])
    assert record.is_failure


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"error": 5}', b"[1]"])
def test_an_errors_body_that_is_none_is_a_problem(body: bytes) -> None:
    assert judge(PLAN, Exchange(0.0, status=503, body=body)).problems


def test_a_status_that_does_not_fit_is_a_problem() -> None:
    invalid = Plan("invalid", expected=frozenset({400}))
    assert "invalid got 200" in judge(invalid, stream(*WHOLE)).problems
    body = json.dumps({"error": ERROR}).encode()
    assert judge(PLAN, Exchange(0.0, status=400, body=body)).problems == ["completion got 400"]
    abuse = Plan("abuse", abuse=Abuse("noise", b"x", frozenset({400})))
    assert judge(abuse, Exchange(0.0, status=200)).problems == ["abuse 'noise' got 200"]


def test_a_whole_answer() -> None:
    plan = Plan("chat", counts=True)
    choice = {"index": 0, "finish_reason": "length", "token_ids": [1, 2]}
    answer = {"choices": [choice], "usage": {"completion_tokens": 2}}
    exchange = Exchange(0.0, status=200, body=json.dumps(answer).encode())
    assert judge(plan, exchange).problems == []
    answer["usage"] = {"completion_tokens": 1}
    exchange.body = json.dumps(answer).encode()
    assert judge(plan, exchange).problems
    exchange.body = b'{"choices"'
    assert judge(plan, exchange).problems == ["a body that is not JSON"]


def test_how_the_client_ended_counts() -> None:
    assert judge(PLAN, Exchange(0.0, how="left")).outcome == LEFT
    assert judge(PLAN, Exchange(0.0, how="cut")).outcome == LOST
    late = judge(PLAN, Exchange(0.0, how="timeout"))
    assert late.outcome == LOST and late.problems


def test_a_failure_is_excused_by_a_fault_at_its_time_alone() -> None:
    failed = Record("chat", ERROR_BODY, 10.0, 11.0, 0.1, status=503, code="engine_crashed")
    lost = Record("chat", LOST, 10.0, 11.0, 0.1)
    kill = Fault("kill", 10.5, 12.0)
    assert check_records([failed, lost], [kill]) == []
    assert len(check_records([failed, lost], [])) == 2
    assert len(check_records([failed], [Fault("kill", 20.0, 21.0)])) == 1
    assert len(check_records([failed], [Fault("stop", 10.5, 12.0)])) == 1
    failed.problems.append("and its body is none")
    assert len(check_records([failed], [kill])) == 1


def test_latencies_and_memory_have_limits() -> None:
    limits = Limits()
    assert check_latencies(limits, [1.0], [], [2.0], [900.0], 500.0) == []
    slow = check_latencies(limits, [51.0], [101.0], [501.0], [1501.0], 500.0)
    assert len(slow) == 4
    assert not check_latencies(limits.times(2), [51.0], [101.0], [501.0], [1501.0], 500.0)
    assert check_memory({"server 1": (20.0, 0.6), "engine 2": (1.0, 99.0)}, limits) == [
        "server 1 grows by 0.60 MB a minute, over 20 minutes"
    ]


def test_logs_hold_no_traceback_and_no_secret(tmp_path: Any) -> None:
    log = tmp_path / "log"
    log.write_text("INFO all is well\n")
    assert check_logs([log]) == []
    log.write_text(f"Traceback (most recent call last):\n {KEY} zanzibar\n")
    assert len(check_logs([log])) == 3


def test_outcomes_are_counted_by_kind() -> None:
    records = [Record("chat", COMPLETE, 0, 1, 0), Record("chat", LEFT, 0, 1, 0)]
    assert count_outcomes(records) == {"chat": {COMPLETE: 1, LEFT: 1}}
