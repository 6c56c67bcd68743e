from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cria.constraint import sources
from cria.constraint.compiler import GrammarCompiler
from cria.engine.compiling import Compiled, Compiling
from cria.ipc.messages import Submit
from cria.sampling_params import SamplingParams
from tests.constraint.byte_grammars import make_compiler, takes


def submit(request_id: int, grammar: str) -> Submit:
    return Submit(request_id, [1], SamplingParams(grammar=grammar))


def take_all(compiling: Compiling) -> list[Compiled]:
    """Until nobody waits any more."""
    taken: list[Compiled] = []
    deadline = time.monotonic() + 30
    while not compiling.is_idle:
        assert time.monotonic() < deadline
        taken += compiling.take(wait=True)
    return taken


def test_they_come_out_in_the_order_of_arrival() -> None:
    compiling = Compiling(make_compiler)
    compiling.submit(submit(1, sources.from_choice(["a"])), 5.0)
    compiling.submit(submit(2, "start: ("), 6.0)
    compiling.submit(submit(3, sources.from_choice(["b"])), 7.0)
    first, second, third = take_all(compiling)
    assert (first.message.request_id, first.arrival) == (1, 5.0)
    assert first.matcher is not None and takes(first.matcher, "a")
    assert second.matcher is None and second.reason.startswith("the grammar cannot be used: ")
    assert third.arrival == 7.0


def test_a_cancelled_one_does_not_come_out() -> None:
    compiling = Compiling(make_compiler)
    message = submit(1, sources.from_choice(["a"]))
    compiling.submit(message, 0.0)
    assert compiling.cancel(1) is message
    assert compiling.cancel(1) is None and compiling.is_idle
    compiling.submit(submit(2, sources.from_choice(["a"])), 0.0)
    assert [compiled.message.request_id for compiled in take_all(compiling)] == [2]


def test_nobody_waits_for_what_is_not_ready() -> None:
    may_go_on = threading.Event()

    def make() -> GrammarCompiler:
        assert may_go_on.wait(30)
        return make_compiler()

    compiling = Compiling(make)
    compiling.submit(submit(1, sources.from_choice(["a"])), 0.0)
    assert list(compiling.take(wait=False)) == list(compiling.take(wait=True)) == []
    may_go_on.set()
    assert len(take_all(compiling)) == 1


def fail(error: Exception) -> Callable[[], GrammarCompiler]:
    def make() -> GrammarCompiler:
        raise error

    return make


def test_whatever_fails_is_an_answer() -> None:
    compiling = Compiling(fail(MemoryError()))
    for request_id in (1, 2):
        compiling.submit(submit(request_id, "g"), 0.0)
    reasons = [compiled.reason for compiled in take_all(compiling)]
    assert reasons == ["the grammar cannot be compiled (MemoryError)"] * 2


def test_a_vocabulary_without_grammars_is_found_out_when_one_is_wanted() -> None:
    compiling = Compiling(fail(ValueError("no end")))
    compiling.prepare()
    compiling.submit(submit(1, "g"), 0.0)
    assert "cannot be compiled" in take_all(compiling)[0].reason


def test_it_is_prepared_once() -> None:
    made: list[GrammarCompiler] = []

    def make() -> GrammarCompiler:
        made.append(make_compiler())
        return made[-1]

    compiling = Compiling(make)
    compiling.prepare()
    compiling.submit(submit(1, sources.from_choice(["a"])), 0.0)
    assert take_all(compiling)[0].matcher is not None and len(made) == 1
