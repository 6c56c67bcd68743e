"""Who comes in, and that whatever was taken is given back once, on every way out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cria.config import ServerConfig
from cria.errors import QueueFull, RateLimited
from cria.generation.admission import Admission, Capacity, Demand, Ticket, Uncounted
from cria.generation.caller import ANYBODY, Caller

CAPACITY = Capacity(2, 100)


class Bench:
    def __init__(self, **settings: int) -> None:
        self.now = 1000.0
        self.admission = Admission(ServerConfig(**settings), clock=lambda: self.now)  # type: ignore[arg-type]

    def enter(self, *sizes: int, caller: Caller = ANYBODY, tokens: int | None = None) -> Ticket:
        demand = Demand(sizes, sum(sizes) if tokens is None else tokens)
        return self.admission.enter(caller, CAPACITY, demand)

    def refused(self, sizes: Sequence[int], caller: Caller = ANYBODY) -> float:
        with pytest.raises((QueueFull, RateLimited)) as caught:
            self.enter(*sizes, caller=caller)
        assert isinstance(caught.value, (QueueFull, RateLimited))
        return caught.value.retry_after


def test_as_many_as_there_are_slots_and_places() -> None:
    bench = Bench(max_queue=3)
    tickets = [bench.enter(10) for _ in range(5)]
    bench.refused([10])
    with pytest.raises(QueueFull):
        bench.admission.check(ANYBODY, CAPACITY)
    tickets[0].end(0)
    bench.admission.check(ANYBODY, CAPACITY)
    bench.enter(10)
    bench.refused([10])


def test_no_queue_at_all() -> None:
    bench = Bench(max_queue=0)
    bench.enter(10)
    bench.enter(10)
    bench.refused([10])


def test_choices_count_each() -> None:
    bench = Bench(max_queue=3)
    ticket = bench.enter(10, 10, 10, 10)
    bench.refused([10, 10])
    ticket.end(2)
    bench.enter(10, 10)


def test_a_request_larger_than_everything_comes_in_when_nobody_waits() -> None:
    bench = Bench(max_queue=3)
    large = bench.enter(*[10] * 50)
    bench.refused([10])
    large.close(500)
    for _ in range(3):
        bench.enter(10)
    bench.refused([10] * 50)


def test_tokens_count_as_long_as_they_wait() -> None:
    bench = Bench(max_queue=10, max_queue_tokens=100)
    first = [bench.enter(90), bench.enter(90)]
    bench.refused([10])
    for ticket in first:
        ticket.begin(0)
    bench.enter(60)
    bench.refused([60])
    bench.enter(40)


def test_by_default_there_is_room_for_eight_a_slot_and_for_64() -> None:
    bench = Bench()
    for _ in range(66):
        bench.enter(100)
    bench.refused([1])
    many = Capacity(100, 10)
    with pytest.raises(QueueFull):
        bench.admission.enter(ANYBODY, many, Demand([1] * 835, 0))
    bench.admission.enter(ANYBODY, many, Demand([1] * 834, 0))


def test_the_time_to_come_back_follows_from_how_long_sequences_take() -> None:
    bench = Bench(max_queue=8)
    tickets = [bench.enter(10) for _ in range(10)]
    assert bench.refused([10]) == 5, "nobody knows yet"
    for ticket in tickets[:2]:
        ticket.begin(0)
    bench.now += 4
    for ticket in tickets[:2]:
        ticket.end(0)
        bench.enter(10)
    assert bench.refused([10]) == pytest.approx(8 * 4 / 2)
    assert tickets[5].retry_after() == pytest.approx(8 * 4 / 2)


def test_what_never_began_says_nothing_of_the_rate() -> None:
    bench = Bench(max_queue=0)
    bench.enter(10).close(0)
    bench.enter(10)
    bench.enter(10)
    assert bench.refused([10]) == 5


def test_requests_a_minute() -> None:
    bench = Bench()
    caller = Caller(7, requests_per_minute=2)
    for _ in range(2):
        bench.enter(1, caller=caller).close(1)
    assert bench.refused([1], caller) == pytest.approx(30)
    bench.enter(1, caller=Caller(8, requests_per_minute=2))
    bench.now += 30
    bench.enter(1, caller=caller)


def test_tokens_a_minute_are_corrected_at_the_end() -> None:
    bench = Bench()
    caller = Caller(7, tokens_per_minute=60)
    ticket = bench.enter(50, caller=caller)
    bench.refused([20], caller)
    ticket.begin(0)
    ticket.close(10)
    second = bench.enter(20, caller=caller, tokens=5)
    second.begin(0)
    second.close(200)
    assert bench.refused([1], caller) == pytest.approx(10 + 200 - 60 + 1)


def test_requests_at_the_same_time() -> None:
    bench = Bench()
    caller = Caller(7, max_concurrent=1)
    ticket = bench.enter(1, caller=caller)
    bench.refused([1], caller)
    ticket.close(1)
    bench.enter(1, caller=caller)
    assert bench.admission.headers(caller) == {}


def test_a_refusal_takes_nothing() -> None:
    bench = Bench(max_queue=0)
    caller = Caller(7, requests_per_minute=3, tokens_per_minute=300)
    full = [bench.enter(1), bench.enter(1)]
    bench.refused([10], caller)
    told = bench.admission.headers(caller)
    assert told["x-ratelimit-remaining-requests"] == "3"
    assert told["x-ratelimit-remaining-tokens"] == "300"
    full[0].close(0)
    bench.enter(10, caller=caller)


def test_the_headers_are_openais() -> None:
    bench = Bench()
    caller = Caller(7, requests_per_minute=60, tokens_per_minute=6000)
    bench.enter(100, caller=caller)
    assert bench.admission.headers(caller) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-tokens": "5900",
        "x-ratelimit-reset-tokens": "1s",
    }
    assert bench.admission.headers(ANYBODY) == {}


def test_who_is_not_counted_may_be_closed_too() -> None:
    ticket = Uncounted()
    ticket.begin(0)
    ticket.end(0)
    ticket.close(5)
    assert (ticket.has_begun, ticket.retry_after()) == (False, 1.0)


class AdmissionMachine(RuleBasedStateMachine):
    """Requests come, begin, end and are closed in any order, some of it twice."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(max_queue=5, max_queue_tokens=300)
        self.open: list[tuple[Ticket, Caller, set[int], dict[int, int]]] = []

    @rule(
        sizes=st.lists(st.integers(1, 100), min_size=1, max_size=4),
        caller=st.sampled_from([ANYBODY, Caller(1, 20, 500, 3), Caller(2, max_concurrent=1)]),
        pause=st.floats(0, 20),
    )
    def come(self, sizes: list[int], caller: Caller, pause: float) -> None:
        self.bench.now += pause
        try:
            ticket = self.bench.enter(*sizes, caller=caller)
        except (QueueFull, RateLimited) as error:
            assert error.retry_after > 0
            return
        self.open.append((ticket, caller, set(range(len(sizes))), dict(enumerate(sizes))))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0), index=st.integers(0, 4), begins=st.booleans())
    def go_on(self, which: int, index: int, *, begins: bool) -> None:
        ticket, _, sequences, waiting = self.open[which % len(self.open)]
        waiting.pop(index, None)
        if begins:
            ticket.begin(index)
        else:
            ticket.end(index)
            sequences.discard(index)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0), used=st.integers(0, 500))
    def close(self, which: int, used: int) -> None:
        ticket, *_ = self.open.pop(which % len(self.open))
        ticket.close(used)
        ticket.close(used)
        ticket.end(0)
        ticket.begin(0)

    @invariant()
    def the_books_balance(self) -> None:
        ledger = self.bench.admission._ledger
        assert ledger.num_sequences == sum(len(sequences) for _, _, sequences, _ in self.open)
        waiting = sum(sum(sizes.values()) for *_, sizes in self.open)
        assert ledger.num_waiting_tokens == waiting
        for caller_id in (1, 2):
            row = ledger.find_caller(caller_id, self.bench.now)
            assert row is not None
            assert ledger.num_open(row) == sum(c.id == caller_id for _, c, *_ in self.open)


TestAdmissionMachine = AdmissionMachine.TestCase
