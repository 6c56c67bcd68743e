"""Percentiles, sums and ratios, worked out by hand."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.bench.messages import Outcome, Trace
from cria.bench.statistics import Spread, percentile, ratio, spread, summarize
from tests.bench.measured import make_trace

NUMBERS = st.floats(0.001, 1000)


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (90, 90), (99, 99), (0, 1), (100, 100)])
def test_percentiles_of_a_hundred(percent: float, value: float) -> None:
    assert percentile(range(100, 0, -1), percent) == value


def test_percentiles_of_few() -> None:
    assert percentile([], 50) is None
    assert percentile([3.0], 1) == 3.0
    assert percentile([1.0, 2.0], 50) == 1.0
    assert percentile([1.0, 2.0], 51) == 2.0


@given(st.lists(NUMBERS, min_size=1), st.floats(0, 100))
def test_a_percentile_is_one_of_the_values(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-6


def test_a_run() -> None:
    traces = [make_trace(), make_trace(speed=2.0), make_trace(error="no")]
    summary = summarize(Outcome(traces))
    assert (summary.requests, summary.failed) == (3, 1)
    assert (summary.prompt_tokens, summary.generated_tokens) == (20, 12)
    assert (summary.wall_s, summary.generated_per_s, summary.tokens_per_s) == (4.0, 3.0, 8.0)
    assert (summary.ttft_p50_ms, summary.ttft_p99_ms) == (500.0, 1000.0)
    assert (summary.itl_p50_ms, summary.itl_p90_ms) == (1000.0, 2000.0)
    assert summary.longest_pause_ms == 2000.0
    assert summary.long_pause_ms is None


def test_a_run_of_nothing_but_failures() -> None:
    summary = summarize(Outcome([make_trace(error="no")]))
    assert (summary.failed, summary.generated_tokens) == (1, 0)
    assert (summary.generated_per_s, summary.ttft_p50_ms, summary.itl_p50_ms) == (None, None, None)


@pytest.mark.parametrize(
    ("start", "first", "pause"),
    [(1.2, 1.8, 1000.0), (1.2, 2.5, 2000.0), (0.0, 0.5, None), (5.0, 6.0, None)],
)
def test_the_pause_for_a_long_prompt(start: float, first: float, pause: float | None) -> None:
    long = Trace(start, first, [first], 1000, 1, True)
    summary = summarize(Outcome([make_trace()], long))
    assert summary.requests == 2
    assert summary.long_ttft_ms == pytest.approx((first - start) * 1e3)
    assert summary.long_pause_ms == pause


def test_a_long_prompt_without_text_or_success() -> None:
    assert summarize(Outcome([], Trace(1.0, 3.0, [], 1000, 1, True))).long_ttft_ms == 2000.0
    failed = summarize(Outcome([], Trace(1.0, 3.0, error="no")))
    assert (failed.failed, failed.long_ttft_ms) == (1, None)


def test_spreads() -> None:
    assert spread([3.0, None, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([None]) is None


def test_ratios() -> None:
    assert ratio([2.0, 4.0, 6.0], [1.0, 4.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert ratio([2.0, None, 6.0], [1.0, 4.0, 0.0]) == Spread(2.0, 2.0, 2.0)
    assert ratio([None], [1.0]) is None


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1))
def test_a_ratio_is_of_medians(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    found = ratio(ours, theirs)
    assert found is not None
    assert found.median == statistics.median(ours) / statistics.median(theirs)
    assert found.low <= found.high
