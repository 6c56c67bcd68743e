"""So many a minute, whatever the order of what is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.generation.rate_limit import duration, remaining, seconds_until, seconds_until_full, taken


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.012, "12ms"),
        (0.0001, "1ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.9999, "1m0s"),
        (360, "6m0s"),
        (3661.25, "1h1m1.25s"),
    ],
)
def test_durations_are_written_as_openai_does(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_whole_minute_at_once_and_then_an_even_rate() -> None:
    earned = 0.0
    for left in range(9, -1, -1):
        assert seconds_until(earned, 100.0, 1, 10) == 0
        earned = taken(earned, 100.0, 1, 10)
        assert remaining(earned, 100.0, 10) == left
    assert seconds_until(earned, 100.0, 1, 10) == pytest.approx(6)
    assert seconds_until(earned, 106.0, 1, 10) == 0
    assert seconds_until_full(earned, 100.0) == pytest.approx(60)


def test_what_is_given_back_can_be_taken_again() -> None:
    earned = taken(0.0, 5.0, 10, 10)
    assert seconds_until(earned, 5.0, 4, 10) > 0
    assert seconds_until(taken(earned, 5.0, -4, 10), 5.0, 4, 10) == 0


def test_more_than_a_minutes_worth_waits_for_a_full_minute_and_is_paid_for() -> None:
    assert seconds_until(0.0, 0.0, 500, 10) == 0
    earned = taken(0.0, 0.0, 500, 10)
    assert (remaining(earned, 0.0, 10), seconds_until_full(earned, 0.0)) == (0, 3000)


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), max_size=60),
)
def test_never_more_than_the_burst_and_the_rate(limit: int, asked: list[tuple[float, int]]) -> None:
    earned = now = 0.0
    total = 0
    for pause, amount in asked:
        now += pause
        amount = min(amount, limit)
        wait = seconds_until(earned, now, amount, limit)
        left = remaining(earned, now, limit)
        if amount <= left:
            assert wait == 0, "what is told to remain can be taken"
        if not wait:
            earned = taken(earned, now, amount, limit)
            total += amount
        else:
            assert seconds_until(earned, now + wait + 1e-6, amount, limit) == 0
        assert total <= limit + now * limit / 60 + 1e-3
