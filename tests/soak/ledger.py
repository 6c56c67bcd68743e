"""The ledger: every request has exactly one outcome, and that outcome is whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.soak.exchange import Exchange
from tests.soak.mix import Plan

DONE = "[DONE]"
ERROR_MEMBERS = {"message", "type", "param", "code"}
COMPLETE, ERROR_BODY, ERROR_EVENT, LEFT, LOST = (
    "complete",
    "error body",
    "error event",
    "left",
    "lost",
)
OUTCOMES = (COMPLETE, ERROR_BODY, ERROR_EVENT, LEFT, LOST)
"""`lost`: no answer, or one that stops in its midst. Only a server that is told to stop may."""


@dataclass
class Record:
    """One request, when it is over."""

    kind: str
    outcome: str
    start: float
    end: float
    answer_seconds: float
    """Until the head of the answer."""
    status: int = 0
    code: str | None = None
    left_in: str | None = None
    problems: list[str] = field(default_factory=list)
    what: str = ""
    """Enough to find it again."""

    @property
    def is_failure(self) -> bool:
        """Ours, not the client's: a 5xx, an error in a stream, or no answer at all."""
        return self.status >= 500 or self.outcome in (ERROR_EVENT, LOST)


def judge(plan: Plan, exchange: Exchange) -> Record:
    """The outcome, and what is wrong with it."""
    record = Record(
        plan.kind,
        LOST,
        exchange.start,
        exchange.end,
        max(exchange.answered - exchange.start, 0.0),
        exchange.status,
        left_in=plan.leaves,
        what=describe(plan, exchange),
    )
    if exchange.how == "left":
        record.outcome = LEFT
    elif exchange.how == "timeout":
        record.problems.append("no end within the client's time limit")
    elif exchange.how == "complete":
        _judge_answer(plan, exchange, record)
    return record


def describe(plan: Plan, exchange: Exchange) -> str:
    """What was asked and what came, in a line."""
    asked = plan.abuse.name if plan.abuse is not None else f"{plan.path} {plan.body[:1000]!r}"
    asked = asked.replace("hello world hello world ", "")
    came = f"{exchange.body[:200]!r}"
    if len(exchange.body) > 200:
        came += f" ... {exchange.body[-200:]!r}"
    return (
        f"{exchange.how} {exchange.words} {exchange.status} {exchange.request_id} {came} "
        f"of a client that left in {plan.leaves}, slow {plan.is_slow}, asked {asked}"
    )


def _judge_answer(plan: Plan, exchange: Exchange, record: Record) -> None:
    if plan.abuse is not None:
        record.outcome = COMPLETE if exchange.status == 200 else ERROR_BODY
        if exchange.status not in plan.abuse.statuses:
            record.problems.append(f"abuse {plan.abuse.name!r} got {exchange.status}")
        return
    if exchange.status < 500 and exchange.status not in plan.expected:
        record.problems.append(f"{plan.kind} got {exchange.status}")
    if exchange.status != 200:
        record.outcome = ERROR_BODY
        record.code = _judge_error(exchange.body, record.problems)
    elif plan.stream:
        record.outcome, record.code = judge_stream(exchange.body, plan, record.problems)
    else:
        record.outcome = COMPLETE
        _judge_body(exchange.body, plan, record.problems)


def _judge_error(body: bytes, problems: list[str]) -> str | None:
    """Its code; every error has the same members."""
    try:
        error = json.loads(body)["error"]
        if set(error) != ERROR_MEMBERS:
            problems.append(f"an error with the members {sorted(error)}")
        return str(error.get("code"))
    except (ValueError, KeyError, TypeError, AttributeError) as reason:
        problems.append(f"an error's body that is none: {reason!r}")
        return None


def _judge_body(body: bytes, plan: Plan, problems: list[str]) -> None:
    try:
        answer = json.loads(body)
    except ValueError:
        problems.append("a body that is not JSON")
        return
    choices = answer.get("choices")
    if choices is None:
        return  # of a route that generates nothing
    _judge_choices(
        [(choice["index"], choice["finish_reason"]) for choice in choices], plan, problems
    )
    if plan.counts:
        counted = sum(len(choice["token_ids"]) for choice in choices)
        reasons = [choice["finish_reason"] for choice in choices]
        _judge_usage(counted, reasons, answer["usage"], problems)


def judge_stream(body: bytes, plan: Plan, problems: list[str]) -> tuple[str, str | None]:
    """Outcome and error code of a stream that has ended as HTTP says."""
    events = parse_events(body)
    if events and (error := _error_of(events[-1])) is not None:
        if DONE in events:
            problems.append("an error and [DONE] in one stream")
        if set(error) != ERROR_MEMBERS:
            problems.append(f"an error with the members {sorted(error)}")
        return ERROR_EVENT, str(error.get("code"))
    if events.count(DONE) != 1 or events[-1] != DONE:
        problems.append(f"[DONE] {events.count(DONE)} times of {len(events)}, or not at the end")
        return LOST, None
    chunks = [json.loads(event) for event in events[:-1]]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    ends = [(c["index"], c["finish_reason"]) for c in choices if c.get("finish_reason")]
    _judge_choices(ends, plan, problems)
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    if len(usages) != 1 or not chunks[-1].get("usage"):
        problems.append(f"usage {len(usages)} times, or not at the end")
    elif plan.counts:
        counted = sum(len(choice.get("token_ids") or ()) for choice in choices)
        _judge_usage(counted, [reason for _, reason in ends], usages[0], problems)
    return COMPLETE, None


def parse_events(body: bytes) -> list[str]:
    """The data of each event; comments are none."""
    blocks = [block for block in body.decode().split("\n\n") if block.strip()]
    return [block.removeprefix("data: ") for block in blocks if not block.startswith(":")]


def _error_of(event: str) -> dict[str, Any] | None:
    if event == DONE:
        return None
    found: dict[str, Any] | None = json.loads(event).get("error")
    return found


def _judge_choices(ends: list[tuple[int, str]], plan: Plan, problems: list[str]) -> None:
    """Each choice has ended once."""
    indices = sorted(index for index, reason in ends if reason)
    if indices != list(range(plan.num_choices)):
        problems.append(f"choices that ended: {indices} of {plan.num_choices}")


def _judge_usage(
    counted: int, reasons: list[str], usage: dict[str, Any], problems: list[str]
) -> None:
    """Every token is told, but for the one that says the end, which counts too."""
    told, num_ends = usage["completion_tokens"], reasons.count("stop")
    if told != counted + num_ends:
        problems.append(f"usage says {told}, {counted} tokens and {num_ends} ends came")


def count_outcomes(records: Iterable[Record]) -> dict[str, Counter[str]]:
    """By the kind of request, how many had which outcome."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        counts.setdefault(record.kind, Counter())[record.outcome] += 1
    return counts
