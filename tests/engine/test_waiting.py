"""Whose turn it is: fair among tenants, in order within one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cria.engine.sequence import Sequence
from cria.engine.waiting import WaitingQueue
from cria.ipc.messages import FinishReason, Submit
from cria.sampling_params import SamplingParams
from tests.engine.fake_runner import Bench


def submit(
    number: int, tenant: int = 0, priority: int = 0, max_wait: float | None = None, size: int = 3
) -> Submit:
    params = SamplingParams(max_tokens=4)
    return Submit(number, [9] * size, params, priority, tenant, max_wait)


def waiting(*submits: Submit) -> WaitingQueue:
    queue = WaitingQueue()
    for each in submits:
        queue.add(Sequence(each))
    return queue


def ids(queue: WaitingQueue) -> list[int]:
    return [sequence.request_id for sequence in queue.candidates()]


def take_all(queue: WaitingQueue) -> list[int]:
    """As the scheduler does it, with a slot for each."""
    taken = []
    for sequence in queue.candidates():
        queue.take(sequence)
        taken.append(sequence.request_id)
    return taken


def test_one_tenant_goes_by_priority_and_arrival() -> None:
    queue = waiting(submit(1), submit(2, priority=-1), submit(3))
    assert (ids(queue), len(queue)) == ([2, 1, 3], 3)


def test_tenants_take_turns() -> None:
    queue = waiting(*(submit(n, tenant=1) for n in range(4)), submit(10, tenant=2))
    assert take_all(queue) == [0, 10, 1, 2, 3]


def test_a_priority_is_worth_nothing_against_others() -> None:
    queue = waiting(*(submit(n, 1, priority=-1000) for n in range(3)), submit(10, 2), submit(11, 2))
    assert take_all(queue) == [0, 10, 1, 11, 2]


def test_who_holds_the_slots_waits_for_who_has_none() -> None:
    queue = WaitingQueue()
    running = [Sequence(submit(n, tenant=1)) for n in range(2)]
    for sequence in running:
        queue.add(sequence)
        queue.take(sequence)
    for each in (submit(2, tenant=1), submit(10, tenant=2)):
        queue.add(Sequence(each))
    queue.left(running[0])
    assert take_all(queue) == [10, 2]


def test_with_one_slot_it_is_who_has_got_fewer_tokens() -> None:
    queue = waiting(*(submit(n, 1, size=50) for n in range(3)), *(submit(n, 2) for n in (10, 11)))
    order = []
    while len(queue):
        sequence = next(queue.candidates())
        queue.take(sequence)
        order.append(sequence.request_id)
        sequence.num_generated_tokens = 5
        queue.left(sequence)
    assert order == [0, 10, 11, 1, 2]


def test_who_was_in_a_slot_comes_back_first() -> None:
    queue = waiting(submit(1, 1))
    sequence = next(queue.candidates())
    queue.take(sequence)
    sequence.was_admitted = True
    queue.add(Sequence(submit(2, 2, priority=-5)))
    queue.back(sequence)
    assert ids(queue) == [1, 2]
    queue.remove(sequence)
    assert (ids(queue), len(queue)) == ([2], 1)


def test_who_has_waited_too_long_is_told_once() -> None:
    queue = waiting(submit(1, max_wait=5.0), submit(2), submit(3, max_wait=1.0))
    assert queue.expired(0.9) == []
    assert [sequence.request_id for sequence in queue.expired(5.0)] == [3, 1]
    assert queue.expired(99.0) == []


def test_who_has_begun_does_not_expire() -> None:
    queue = waiting(submit(1, max_wait=1.0))
    queue.take(next(queue.candidates()))
    assert queue.expired(2.0) == []


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 4))
def test_everybody_gets_in_and_nothing_is_left_behind(tenants: list[int], slots: int) -> None:
    queue = waiting(*(submit(n, tenant) for n, tenant in enumerate(tenants)))
    running: list[Sequence] = []
    done = []
    while len(queue) or running:
        for sequence in queue.candidates():
            if len(running) == slots:
                break
            queue.take(sequence)
            running.append(sequence)
        done.append(running.pop(0))
        queue.left(done[-1])
    assert sorted(sequence.request_id for sequence in done) == list(range(len(tenants)))
    assert not queue._tenants


def test_a_flood_holds_up_another_tenant_for_one_sequence_at_most() -> None:
    bench = Bench(num_slots=2)
    for number in range(50):
        bench.scheduler.submit(submit(number, tenant=1))
    bench.step()
    bench.scheduler.submit(submit(100, tenant=2))
    ended: list[int] = []
    while 100 not in ended:
        ended += [output.request_id for output in bench.step() if output.finish_reason]
    assert len(ended) <= 4, "the two that ran, one beside it, and itself"


def test_the_scheduler_ends_what_has_waited_too_long_and_only_that() -> None:
    bench = Bench(num_slots=1)
    bench.scheduler.submit(submit(1, max_wait=5.0))
    bench.scheduler.schedule(0.0)
    for each in (submit(2, max_wait=5.0), submit(3, max_wait=50.0)):
        bench.scheduler.submit(each, 1.0)
    bench.scheduler.take_output()
    bench.scheduler.schedule(6.5)
    (output,) = bench.scheduler.take_output().outputs
    assert (output.request_id, output.finish_reason) == (2, FinishReason.EXPIRED)
    assert bench.scheduler.stats().num_waiting == 1


def test_the_admission_is_told() -> None:
    bench = Bench(num_slots=1)
    for number in (1, 2):
        bench.scheduler.submit(submit(number))
    bench.scheduler.schedule()
    assert bench.scheduler.take_output().admitted_ids == [1]
