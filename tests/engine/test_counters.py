from __future__ import annotations

import pytest

from cria.engine.counters import Counters
from cria.ipc.messages import STALL_BOUNDS_MS, EngineStats


def stats(counters: Counters) -> EngineStats:
    return counters.stats(num_running=1, num_waiting=2, num_used_cells=3, num_cached_cells=4)


def test_nothing_has_happened_at_first() -> None:
    found = stats(Counters())
    assert (found.num_running, found.num_waiting) == (1, 2)
    assert (found.num_used_cells, found.num_cached_cells) == (3, 4)
    assert found.steps_total == found.prefill_tokens_total == found.decode_tokens_total == 0
    assert found.stalls == (0,) * (len(STALL_BOUNDS_MS) + 1)


def test_steps_and_tokens_are_totals() -> None:
    counters = Counters()
    counters.count_step(0, 100, 0.1)
    counters.count_step(3, 20, 0.1)
    counters.count_step(2, 0, 0.1)
    counters.cached_tokens += 7
    counters.preemptions += 1
    found = stats(counters)
    assert found.steps_total == 3
    assert found.prefill_tokens_total == 120
    assert (found.decode_tokens_total, found.decode_steps_total) == (5, 2)
    assert (found.cached_tokens_total, found.preemptions_total) == (7, 1)


def test_embeddings_are_totals_of_their_own() -> None:
    counters = Counters()
    counters.count_embedded(0, 512)
    counters.count_embedded(3, 40)
    found = stats(counters)
    assert (found.embedded_inputs_total, found.embedded_tokens_total) == (3, 552)
    assert found.steps_total == found.prefill_tokens_total == 0


@pytest.mark.parametrize(
    ("milliseconds", "column"), [(0, 0), (5, 0), (5.1, 1), (200, 5), (5000, 9), (5001, 10)]
)
def test_a_pause_counts_once_for_each_sequence_that_had_it(
    milliseconds: float, column: int
) -> None:
    counters = Counters()
    counters.count_step(3, 0, milliseconds / 1000)
    expected = [0] * (len(STALL_BOUNDS_MS) + 1)
    expected[column] = 3
    assert stats(counters).stalls == tuple(expected)


def test_a_pause_of_many_steps_is_one_pause() -> None:
    counters = Counters()
    for _ in range(4):
        counters.count_step(0, 1, 0.25)
    assert counters.seconds == 1.0
    counters.count_pause(counters.seconds)
    assert stats(counters).stalls == (0,) * 7 + (1, 0, 0, 0)


def test_a_step_without_streams_holds_up_none() -> None:
    counters = Counters()
    counters.count_step(0, 100, 9.0)
    assert sum(stats(counters).stalls) == 0


def test_what_was_told_does_not_change_later() -> None:
    counters = Counters()
    before = stats(counters)
    counters.count_step(1, 1, 0.001)
    assert sum(before.stalls) == 0 and before.steps_total == 0
