"""A run spread over processes: nothing is lost, and all start together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.bench.messages import Job, Outcome, Trace
from cria.bench.pool import WorkerPool, merge, num_processes, split
from cria.bench.settings import Load
from tests.bench.fake_server import FakeServer


@pytest.mark.parametrize(
    ("load", "wanted", "cores", "expected"),
    [
        (Load(clients=1), None, 8, 1),
        (Load(clients=32), None, 8, 1),
        (Load(clients=33), None, 8, 2),
        (Load(clients=64), None, 1, 1),
        (Load(clients=1000), None, 4, 4),
        (Load(clients=2), 5, 8, 2),
        (Load(clients=9), 5, 1, 5),
        (Load(rate=9.0), None, 8, 1),
        (Load(rate=9.0), 3, 8, 3),
    ],
)
def test_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch, load: Load, wanted: int | None, cores: int, expected: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert num_processes(load, wanted) == expected


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 30))
def test_parts_make_the_whole(parts: int, clients: int, requests: int) -> None:
    bodies = [str(n) for n in range(requests)]
    job = Job("u", {}, bodies, clients, [float(n) for n in range(requests)], "long")
    found = split(job, parts)
    assert sorted(b for part in found for b in part.bodies) == sorted(bodies)
    assert sum(part.num_clients for part in found) == clients
    assert all(part.arrivals == [float(b) for b in part.bodies] for part in found)
    assert [part.long_body for part in found] == ["long"] + [None] * (parts - 1)


def test_outcomes_are_merged_in_time() -> None:
    late, early, long = Trace(2.0), Trace(1.0), Trace(3.0)
    assert merge([Outcome([late], long), Outcome([early])]) == Outcome([early, late], long)


def test_two_processes(fake: FakeServer) -> None:
    bodies = [f'{{"n": {n}}}' for n in range(6)]
    with WorkerPool() as pool:
        for _ in range(2):
            outcome = pool.run(Job(fake.url, {}, bodies, num_clients=4), 2)
            assert [trace.error for trace in outcome.traces] == [None] * 6
            assert sum(trace.generated_tokens for trace in outcome.traces) == 30
            assert all(0 <= trace.start < 10 for trace in outcome.traces)
    assert sorted(body["n"] for body in fake.bodies) == sorted([*range(6)] * 2)
