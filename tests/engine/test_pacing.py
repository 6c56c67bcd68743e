"""The pacer with a simulated machine, of which it knows nothing but how long its steps took."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.engine.pacing import MIN_CHUNK, PrefillPacer

PROMISE = 0.2
MAX_BATCH = 2048


class Machine:
    """So many seconds for the decodes and for each prompt token, with noise."""

    def __init__(self, decode_seconds: float, seconds_per_token: float, noise: float = 0.1) -> None:
        self.pacer = PrefillPacer(PROMISE, first_chunk=64)
        self.decode_seconds = decode_seconds
        self.seconds_per_token = seconds_per_token
        self.noise = noise
        self.rng = random.Random(3)

    @property
    def ideal_chunk(self) -> float:
        """With a step as long as the promise."""
        return (PROMISE - self.decode_seconds) / self.seconds_per_token

    def decode(self) -> None:
        self.pacer.observe(8, 0, self.decode_seconds * self._factor())

    def compute(self, more_seconds: float = 0.0) -> tuple[int, float]:
        """A step with prompt tokens: how many, and how long it took."""
        chunk = min(self.pacer.chunk, MAX_BATCH)
        seconds = (self.decode_seconds + chunk * self.seconds_per_token) * self._factor()
        seconds += more_seconds
        self.pacer.observe(8, chunk, seconds)
        return chunk, seconds

    def _factor(self) -> float:
        return self.rng.uniform(1 - self.noise, 1 + self.noise)


MACHINES = [(0.15, 1 / 200), (0.02, 1 / 500), (0.05, 1 / 5000), (0.01, 1 / 50_000)]


@pytest.mark.parametrize(("decode_seconds", "seconds_per_token"), MACHINES)
def test_the_promise_is_kept_after_the_first_steps(
    decode_seconds: float, seconds_per_token: float
) -> None:
    machine = Machine(decode_seconds, seconds_per_token)
    for _ in range(4):
        machine.decode()
    steps = [machine.compute() for _ in range(60)]
    # Where one step's least already takes longer, nothing can be promised.
    least = (decode_seconds + MIN_CHUNK * seconds_per_token) * 1.1
    assert max(seconds for _, seconds in steps[3:]) <= max(PROMISE, least)


@pytest.mark.parametrize(("decode_seconds", "seconds_per_token"), MACHINES[1:])
def test_most_of_the_time_is_used(decode_seconds: float, seconds_per_token: float) -> None:
    machine = Machine(decode_seconds, seconds_per_token)
    machine.decode()
    chunks = [machine.compute()[0] for _ in range(60)]
    assert chunks[-1] >= 0.5 * min(machine.ideal_chunk, MAX_BATCH)


def test_a_machine_of_five_tokens_a_second_gets_on_all_the_same() -> None:
    machine = Machine(0.25, 1 / 5)
    machine.decode()
    assert [machine.compute()[0] for _ in range(9)][1:] == [MIN_CHUNK] * 8


@pytest.mark.parametrize("decodes_in_between", [True, False])
@pytest.mark.parametrize("in_a_decode", [True, False])
def test_the_chunk_recovers_from_one_slow_step(in_a_decode: bool, decodes_in_between: bool) -> None:
    """Also where prompts never stop coming, and no step is of decodes alone."""
    machine = Machine(0.02, 1 / 5000)
    machine.decode()
    before = [machine.compute()[0] for _ in range(30)][-1]
    if in_a_decode:
        machine.pacer.observe(8, 0, 3.0)
    else:
        machine.compute(more_seconds=3.0)
    assert machine.pacer.chunk < before / 4
    for _ in range(60):
        if decodes_in_between:
            machine.decode()
        machine.compute()
    assert machine.pacer.chunk > before * 0.7


def test_the_first_chunk_holds_until_something_is_known() -> None:
    pacer = PrefillPacer(PROMISE, first_chunk=64)
    pacer.observe(8, 0, 0.01)
    pacer.observe(8, 5, 0.02)
    assert pacer.chunk == 64, "five tokens say little about many"
    pacer.observe(0, 100, 0.1)
    assert pacer.chunk == pytest.approx((PROMISE * 0.8 - 0.01) / 0.001, abs=1)


def test_a_small_chunk_that_took_long_counts() -> None:
    pacer = PrefillPacer(PROMISE, first_chunk=64)
    pacer.observe(8, 5, 2.0)
    assert pacer.chunk == MIN_CHUNK


def test_a_clock_that_stands_still_says_nothing() -> None:
    pacer = PrefillPacer(PROMISE, first_chunk=64)
    for _ in range(5000):
        pacer.observe(8, 64, 0.0)
        pacer.observe(0, 64, 0.0)
    assert pacer.chunk == 64


@given(
    st.lists(
        st.tuples(
            st.integers(0, 64),
            st.integers(0, MAX_BATCH),
            st.just(0.0) | st.floats(1e-9, 1e6),
        ),
        max_size=30,
    )
)
def test_no_history_stops_the_prompts(history: list[tuple[int, int, float]]) -> None:
    pacer = PrefillPacer(PROMISE, first_chunk=64)
    for step in history:
        pacer.observe(*step)
        assert pacer.chunk >= MIN_CHUNK
