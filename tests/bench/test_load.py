"""Clients in a loop, requests by the clock, and one long prompt among them."""

from __future__ import annotations

import threading
import time

from cria.bench.load import Countdown, run_job
from cria.bench.messages import Job
from tests.bench.fake_server import FakeServer


def bodies(count: int) -> list[str]:
    return [f'{{"n": {n}}}' for n in range(count)]


def test_each_client_sends_until_nothing_is_left(fake: FakeServer) -> None:
    outcome = run_job(Job(fake.url, {}, bodies(7), num_clients=2), time.monotonic())
    assert [trace.error for trace in outcome.traces] == [None] * 7
    assert sorted(body["n"] for body in fake.bodies) == list(range(7))


def test_nothing_is_sent_before_the_start(fake: FakeServer) -> None:
    outcome = run_job(Job(fake.url, {}, bodies(3), num_clients=3), time.monotonic() + 0.05)
    assert all(0 <= trace.start < trace.end for trace in outcome.traces)


def test_requests_arrive_when_they_should(fake: FakeServer) -> None:
    arrivals = [0.0, 0.02, 0.04]
    outcome = run_job(Job(fake.url, {}, bodies(3), arrivals=arrivals), time.monotonic())
    starts = sorted(trace.start for trace in outcome.traces)
    assert all(start >= due for start, due in zip(starts, arrivals, strict=True))
    assert sorted(body["n"] for body in fake.bodies) == [0, 1, 2]


def test_requests_by_the_clock_do_not_wait_for_each_other(fake: FakeServer) -> None:
    fake.hold = threading.Barrier(3).wait
    outcome = run_job(Job(fake.url, {}, bodies(3), arrivals=[0.0] * 3), time.monotonic())
    assert [trace.error for trace in outcome.traces] == [None] * 3


def test_the_long_prompt_comes_when_all_have_text(fake: FakeServer) -> None:
    job = Job(fake.url, {}, bodies(4), num_clients=4, long_body='{"n": "long"}')
    outcome = run_job(job, time.monotonic())
    assert outcome.long is not None and outcome.long.error is None
    assert outcome.long.start >= min(trace.arrivals[0] for trace in outcome.traces)
    assert len(outcome.traces) == 4


def test_the_long_prompt_comes_although_all_fail(fake: FakeServer) -> None:
    fake.status = 500
    job = Job(fake.url, {}, bodies(2), num_clients=2, long_body="{}")
    outcome = run_job(job, time.monotonic())
    assert outcome.long is not None and outcome.long.error == "HTTP 500: no such luck"


def test_a_countdown() -> None:
    countdown = Countdown(2)
    waiting = threading.Thread(target=countdown.wait)
    waiting.start()
    countdown.step()
    assert waiting.is_alive()
    countdown.step()
    waiting.join()
