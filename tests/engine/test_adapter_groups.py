"""Whose turn it is, with a runner that checks that a step is of one set."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from cria.adapter_set import BASE, make_set
from cria.engine.adapter_groups import STEPS
from cria.ipc.messages import Cancel, Submit
from cria.sampling_params import SamplingParams
from tests.engine.fake_runner import Bench, tokens_of

ONE, TWO = make_set({1: 1.0}), make_set({2: 0.5})


def submit(request_id: int, adapters: object, max_tokens: int = 25, size: int = 3) -> Submit:
    params = SamplingParams(max_tokens=max_tokens)
    return Submit(request_id, [9] * size, params, adapters=adapters)  # type: ignore[arg-type]


def runs_of(bench: Bench) -> list[tuple[object, int]]:
    return [(adapters, len(list(steps))) for adapters, steps in groupby(bench.runner.turns)]


def test_groups_take_turns_of_some_steps() -> None:
    bench = Bench()
    for number, adapters in enumerate((BASE, ONE, TWO)):
        bench.scheduler.submit(submit(number, adapters))
    outputs = bench.run()
    assert all(tokens_of(told) == list(range(1, 26)) for told in outputs.values())
    runs = runs_of(bench)
    assert [adapters for adapters, _ in runs[:6]] == [BASE, ONE, TWO] * 2
    assert {length for _, length in runs[:6]} == {STEPS}


def test_one_group_has_every_step() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, ONE))
    bench.scheduler.submit(submit(2, ONE))
    bench.run()
    assert len(bench.runner.turns) == 25, "the one with the prompts brings the first token"


def test_a_turn_ends_with_the_group() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, BASE, max_tokens=3))
    bench.scheduler.submit(submit(2, ONE, max_tokens=3))
    bench.run()
    assert runs_of(bench) == [(BASE, 3), (ONE, 3)]


def test_nobody_starves_while_others_keep_coming() -> None:
    bench = Bench(num_slots=3)
    bench.scheduler.submit(submit(0, ONE, max_tokens=25))
    number, told = 1, []
    for _ in range(25 * 3 + 3 * STEPS):
        if bench.scheduler.stats().num_waiting < 2:
            bench.scheduler.submit(submit(number, BASE if number % 2 else TWO, max_tokens=20))
            number += 1
        told += [each for each in bench.step() if each.request_id == 0]
    assert tokens_of(told) == list(range(1, 26))


def test_a_prefix_is_not_taken_over_from_other_adapters() -> None:
    bench = Bench(min_shared=2)
    for number, adapters in enumerate((BASE, ONE, BASE, ONE)):
        bench.scheduler.submit(submit(number, adapters, max_tokens=2, size=10))
        bench.run()
    assert [tokens for step in bench.runner.batches for _, tokens in step if tokens > 1] == [10, 10]


def test_nor_does_a_sequence_wait_for_a_leader_with_others() -> None:
    bench = Bench(min_shared=2)
    bench.scheduler.submit(submit(0, BASE, size=20, max_tokens=1))
    bench.step()
    bench.scheduler.submit(submit(1, ONE, size=20, max_tokens=1))
    bench.step()
    assert bench.scheduler.stats().num_waiting == 0
    bench.run()


@given(
    jobs=st.lists(
        st.tuples(
            st.sampled_from([BASE, ONE, TWO]), st.integers(1, 30), st.integers(0, 30), st.booleans()
        ),
        max_size=8,
    ),
    num_cells=st.integers(33, 70),
)
def test_whatever_comes_everybody_gets_all_of_it(
    jobs: list[tuple[object, int, int, bool]], num_cells: int
) -> None:
    """Also where the cells are too few for all of them, and some hang up."""
    bench = Bench(num_slots=3, num_cells=num_cells, min_shared=2)
    for number, (adapters, size, max_tokens, _) in enumerate(jobs):
        bench.scheduler.submit(submit(number, adapters, max_tokens, size))
    for number, (*_, hangs_up) in enumerate(jobs):
        bench.step()
        bench.check_integrity()
        if hangs_up:
            bench.scheduler.cancel(Cancel(number))
    for _ in range(3000):
        if bench.scheduler.is_idle:
            break
        bench.step()
        bench.check_integrity()
    assert bench.scheduler.is_idle
    assert not bench.pool.is_busy.any()
