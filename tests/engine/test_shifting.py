"""A sequence that fills its context goes on, as if what is kept were its prompt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cria.engine.sequence import Sequence
from cria.engine.shifting import shift, shifts_at_the_end, without_oldest_half
from cria.ipc.messages import Cancel, FinishReason, Submit
from cria.sampling_params import SamplingParams
from tests.engine.fake_runner import END, Bench, tokens_of

CONTEXT = 32


def submit(
    request_id: int, prompt: int, max_tokens: int, num_kept: int | None, *, timings: bool = False
) -> Submit:
    params = SamplingParams(max_tokens=max_tokens, num_kept=num_kept, timings=timings)
    return Submit(request_id, [100 + each for each in range(prompt)], params)


@pytest.mark.parametrize(
    ("num_kept", "kept"),
    [
        (0, [4, 5, 6, 7]),
        (1, [0, 4, 5, 6, 7]),
        (4, [0, 1, 2, 3, 6, 7]),
        (6, [0, 1, 2, 3, 4, 5, 7]),
        (7, [0, 1, 2, 3, 4, 5, 7]),
        (99, [0, 1, 2, 3, 4, 5, 7]),
    ],
)
def test_the_older_half_of_what_follows_is_dropped(num_kept: int, kept: list[int]) -> None:
    assert without_oldest_half(np.arange(8, dtype=np.int32), num_kept).tolist() == kept


@given(st.integers(2, 300), st.integers(0, 400))
def test_something_is_dropped_and_the_last_token_is_not(size: int, num_kept: int) -> None:
    tokens = np.arange(size, dtype=np.int32)
    kept = without_oldest_half(tokens, num_kept)
    assert 0 < len(kept) < size
    assert kept[-1] == tokens[-1]
    assert kept.dtype == np.int32


@pytest.mark.parametrize(
    ("max_tokens", "num_kept", "expected"), [(30, 0, True), (29, 0, False), (30, None, False)]
)
def test_only_who_asked_and_has_more_to_say_shifts(
    max_tokens: int, num_kept: int | None, expected: bool
) -> None:
    sequence = Sequence(submit(1, 3, max_tokens, num_kept))
    assert shifts_at_the_end(sequence, CONTEXT) is expected


def test_what_was_dropped_before_counts() -> None:
    sequence = Sequence(submit(1, 3, 40, 0))
    shift(sequence, np.arange(CONTEXT, dtype=np.int32))
    assert (sequence.num_shifts, sequence.num_dropped_tokens) == (1, 16)
    # 29 tokens before the shift and 16 after it.
    assert not shifts_at_the_end(sequence, CONTEXT)


def test_a_shifted_sequence_gets_all_its_tokens() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 3, max_tokens=100, num_kept=2))
    outputs = bench.run()[1]
    assert tokens_of(outputs) == list(range(1, 101))
    assert outputs[-1].finish_reason is FinishReason.LENGTH
    assert outputs[-1].num_generated_tokens == 100
    # 29 tokens until the context is full, then 15 for each shift: 29 + 4 * 15 < 100.
    assert max(output.num_shifts for output in outputs) == 5
    assert bench.scheduler.stats().preemptions_total == 0
    bench.check_integrity()


def test_the_kept_tokens_are_a_prompt_in_one_piece() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 31, max_tokens=2, num_kept=3))
    outputs = bench.run()[1]
    assert tokens_of(outputs) == [1, 2]
    # 31 tokens in two chunks of 16; then 3 first ones, and 15 of the other 29.
    assert bench.runner.batches == [[(1, 16)], [(1, 15)], [(1, 16)], [(1, 2)]]
    kept = [100, 101, 102, *range(117, 131), 1]
    assert kept in bench.runner.contents.values()


def test_the_first_kept_tokens_need_not_be_computed_again() -> None:
    bench = Bench(min_shared=2)
    bench.scheduler.submit(submit(1, 31, max_tokens=2, num_kept=21))
    bench.run()
    # Of the 11 tokens after the first 21, 5 are dropped.
    assert bench.runner.batches[-1] == [(1, 6)]
    bench.check_integrity()


def test_an_end_token_still_ends_a_shifted_sequence() -> None:
    bench = Bench()
    bench.runner.next_token = lambda _, count: END if count == 40 else 7
    bench.scheduler.submit(submit(1, 3, max_tokens=100, num_kept=0))
    outputs = bench.run()[1]
    assert outputs[-1].finish_reason is FinishReason.STOP
    assert outputs[-1].num_generated_tokens == 41


def test_no_shift_for_a_token_that_will_not_come() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 3, max_tokens=29, num_kept=0))
    outputs = bench.run()[1]
    assert (len(tokens_of(outputs)), max(o.num_shifts for o in outputs)) == (29, 0)
    assert outputs[-1].finish_reason is FinishReason.LENGTH


def test_a_sequence_between_two_computations_can_be_cancelled() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 31, max_tokens=5, num_kept=0))
    bench.step()
    bench.step()
    assert bench.scheduler.stats().num_waiting == 1
    bench.scheduler.cancel(Cancel(1))
    (last,) = bench.run()[1]
    assert last.finish_reason is FinishReason.CANCELLED
    assert bench.scheduler.stats().num_used_cells == 0


def test_the_pause_of_a_shift_is_counted() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 2, max_tokens=60, num_kept=0))
    while not bench.scheduler.is_idle:
        batch = bench.scheduler.schedule()
        bench.runner.start(batch)
        bench.scheduler.hold(batch)
        bench.scheduler.advance(batch, bench.runner.finish(batch), 0.02)
        bench.scheduler.take_output()
    assert sum(bench.scheduler.stats().stalls) == 59, "one pause between any two tokens"


def test_others_are_not_disturbed() -> None:
    bench = Bench(2, num_cells=40, min_shared=2)
    bench.scheduler.submit(submit(1, 3, max_tokens=90, num_kept=1))
    bench.scheduler.submit(submit(2, 3, max_tokens=20, num_kept=None))
    outputs = bench.run()
    assert tokens_of(outputs[1]) == list(range(1, 91))
    assert tokens_of(outputs[2]) == list(range(1, 21))
    bench.check_integrity()


def test_cached_tokens_are_those_of_the_first_prompt() -> None:
    bench = Bench(min_shared=2)
    bench.scheduler.submit(submit(1, 31, max_tokens=1, num_kept=None))
    bench.run()
    bench.scheduler.submit(submit(2, 31, max_tokens=20, num_kept=4, timings=True))
    outputs = bench.run()[2]
    assert [o.num_cached_tokens for o in outputs if o.num_cached_tokens] == [30]
    timings = outputs[-1].timings
    assert timings is not None
    assert (timings.num_prompt_tokens, timings.num_cached_tokens) == (31, 30)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(1, 149), st.integers(100, 500), st.none() | st.integers(0, 120)),
        min_size=2,
        max_size=5,
    ),
    st.integers(2, 3),
    st.integers(0, 4),
    st.integers(0, 60),
)
def test_preemptions_and_shifts_together_change_no_token(
    requests: list[tuple[int, int, int | None]], num_slots: int, min_shared: int, more_cells: int
) -> None:
    bench = Bench(num_slots, 150, min_shared=min_shared, num_cells=150 + more_cells, batch_size=50)
    for request_id, (prompt, max_tokens, num_kept) in enumerate(requests):
        bench.scheduler.submit(submit(request_id, prompt, max_tokens, num_kept))
    outputs = bench.run()
    for request_id, (prompt, max_tokens, num_kept) in enumerate(requests):
        expected = max_tokens if num_kept is not None else min(max_tokens, 150 - prompt)
        assert tokens_of(outputs[request_id]) == list(range(1, expected + 1))
    bench.check_integrity()
