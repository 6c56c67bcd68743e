from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cria.engine.scheduler import Limits, Scheduler
from cria.engine.sequence import Sequence
from cria.engine.slots import SlotPool
from cria.errors import NativeError
from cria.ipc.messages import Cancel, FinishReason, SequenceOutput, Submit
from cria.sampling_params import SamplingParams
from tests.engine.fake_runner import END, FakeRunner, count_up

CONTEXT = 32
LIMITS = Limits(context_size=CONTEXT, batch_size=16, prefill_chunk=4)


def make(num_slots: int = 4, min_shared: int = 0) -> tuple[Scheduler, FakeRunner]:
    pool = SlotPool(num_slots, CONTEXT, min_shared)
    return Scheduler(pool, LIMITS, {END}), FakeRunner(CONTEXT)


def submit(request_id: int, prompt: int | list[int], max_tokens: int = 5) -> Submit:
    """A prompt of so many tokens, or of these."""
    tokens = [9] * prompt if isinstance(prompt, int) else prompt
    return Submit(request_id, tokens, SamplingParams(max_tokens=max_tokens))


def step(scheduler: Scheduler, runner: FakeRunner) -> list[SequenceOutput]:
    batch = scheduler.schedule()
    tokens = runner.run(batch)
    if batch.work:
        scheduler.advance(batch, tokens)
    return scheduler.take_outputs()


def run_to_end(scheduler: Scheduler, runner: FakeRunner) -> dict[int, list[SequenceOutput]]:
    outputs: dict[int, list[SequenceOutput]] = {}
    while not scheduler.is_idle:
        for output in step(scheduler, runner):
            outputs.setdefault(output.request_id, []).append(output)
    return outputs


def tokens_of(outputs: list[SequenceOutput]) -> list[int]:
    return [token for output in outputs for token in output.token_ids]


def test_one_sequence_from_prompt_to_limit() -> None:
    scheduler, runner = make()
    scheduler.submit(submit(1, 3, max_tokens=4))
    outputs = run_to_end(scheduler, runner)[1]
    assert tokens_of(outputs) == [1, 2, 3, 4]
    assert outputs[-1].finish_reason is FinishReason.LENGTH
    assert outputs[-1].num_generated_tokens == 4
    assert runner.batches == [[(1, 3)], [(1, 1)], [(1, 1)], [(1, 1)]]
    assert runner.contents == {0: [9, 9, 9, 1, 2, 3]}, "kept for prompts that begin alike"


def test_an_end_of_generation_token_ends_and_is_not_sent() -> None:
    scheduler, runner = make()
    runner.next_token = lambda s: count_up(s) if s.num_generated_tokens < 2 else END
    scheduler.submit(submit(1, 3))
    outputs = run_to_end(scheduler, runner)[1]
    assert tokens_of(outputs) == [1, 2]
    assert outputs[-1].finish_reason is FinishReason.STOP
    assert outputs[-1].num_generated_tokens == 3


def test_the_context_is_a_limit_too() -> None:
    scheduler, runner = make()
    scheduler.submit(submit(1, CONTEXT - 3, max_tokens=100))
    outputs = run_to_end(scheduler, runner)[1]
    assert len(tokens_of(outputs)) == 3
    assert outputs[-1].finish_reason is FinishReason.LENGTH


def test_sequences_join_and_leave_between_steps() -> None:
    scheduler, runner = make()
    scheduler.submit(submit(1, 2, max_tokens=4))
    step(scheduler, runner)
    scheduler.submit(submit(2, 2, max_tokens=2))
    run_to_end(scheduler, runner)
    assert runner.batches[1] == [(1, 1), (2, 2)]
    assert runner.batches[2] == [(1, 1), (2, 1)]
    assert runner.batches[3] == [(1, 1)]


def test_a_long_prompt_is_computed_in_chunks_beside_running_decodes() -> None:
    scheduler, runner = make()
    scheduler.submit(submit(1, 2, max_tokens=6))
    step(scheduler, runner)
    scheduler.submit(submit(2, 10, max_tokens=1))
    run_to_end(scheduler, runner)
    assert runner.batches[1:4] == [[(1, 1), (2, 4)], [(1, 1), (2, 4)], [(1, 1), (2, 2)]]


def test_without_decodes_prompts_get_the_whole_budget() -> None:
    scheduler, runner = make()
    scheduler.submit(submit(1, 20, max_tokens=1))
    scheduler.submit(submit(2, 20, max_tokens=1))
    step(scheduler, runner)
    step(scheduler, runner)
    assert runner.batches == [[(1, 16)], [(1, 4), (2, 12)]]


def test_more_sequences_than_slots_wait_in_order() -> None:
    scheduler, runner = make(num_slots=2)
    for request_id in range(5):
        scheduler.submit(submit(request_id, 2, max_tokens=2))
    assert (scheduler.stats().num_waiting, scheduler.stats().num_running) == (5, 0)
    outputs = run_to_end(scheduler, runner)
    assert list(outputs) == [0, 1, 2, 3, 4]
    assert {len(tokens_of(o)) for o in outputs.values()} == {2}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (submit(1, 0), "the prompt is empty"),
        (submit(1, CONTEXT), "the prompt has 32 tokens, and a sequence holds 32"),
        (submit(1, 3, max_tokens=0), "max_tokens is 0"),
    ],
)
def test_what_can_never_run_is_refused_at_once(message: Submit, reason: str) -> None:
    scheduler, runner = make()
    scheduler.submit(message)
    assert step(scheduler, runner) == [SequenceOutput(1, (), FinishReason.ERROR, 0, reason)]
    assert runner.batches == []


def test_a_request_id_in_use_is_refused_and_the_first_one_goes_on() -> None:
    scheduler, runner = make()
    scheduler.submit(submit(1, 2, max_tokens=2))
    scheduler.submit(submit(1, 2))
    (refusal,) = scheduler.take_outputs()
    assert refusal.error == "request id 1 is in use"
    assert tokens_of(run_to_end(scheduler, runner)[1]) == [1, 2]


@pytest.mark.parametrize("steps_before", [0, 1, 3])
def test_cancel_frees_the_slot_before_the_next_step(steps_before: int) -> None:
    scheduler, runner = make(num_slots=1)
    scheduler.submit(submit(1, 20, max_tokens=10))
    for _ in range(steps_before):
        step(scheduler, runner)
    scheduler.cancel(Cancel(1))
    scheduler.submit(submit(2, 2, max_tokens=1))
    outputs = run_to_end(scheduler, runner)
    assert outputs[1][-1].finish_reason is FinishReason.CANCELLED
    assert tokens_of(outputs[2]) == [1]
    assert len(runner.batches[steps_before]) == 1, "the next step computes the second sequence only"
    assert runner.batches[steps_before][0][0] == 2


def test_cancelling_what_has_ended_or_never_was_does_nothing() -> None:
    scheduler, runner = make()
    scheduler.submit(submit(1, 2, max_tokens=1))
    run_to_end(scheduler, runner)
    scheduler.cancel(Cancel(1))
    scheduler.cancel(Cancel(99))
    assert scheduler.is_idle


def test_failing_a_batch_ends_its_sequences_only() -> None:
    scheduler, runner = make(num_slots=1)
    scheduler.submit(submit(1, 2))
    scheduler.submit(submit(2, 2, max_tokens=1))
    batch = scheduler.schedule()
    scheduler.fail([work.sequence for work in batch.work], "no luck")
    outputs = run_to_end(scheduler, runner)
    assert outputs[1] == [SequenceOutput(1, (), FinishReason.ERROR, 0, "no luck")]
    assert tokens_of(outputs[2]) == [1]


def test_stats_prove_that_sequences_share_steps() -> None:
    scheduler, runner = make()
    for request_id in range(4):
        scheduler.submit(submit(request_id, 2, max_tokens=11))
    run_to_end(scheduler, runner)
    stats = scheduler.stats()
    assert stats.prefill_tokens_total == 8
    assert stats.decode_tokens_total == 40
    assert stats.decode_steps_total == 10
    assert stats.steps_total == 11
    assert (stats.num_running, stats.num_used_cells) == (0, 0)


def prefilled(runner: FakeRunner) -> dict[int, int]:
    """How many tokens of each prompt were computed, the first generated ones not counted."""
    first: dict[int, int] = {}
    for batch in runner.batches:
        for request_id, num_tokens in batch:
            first[request_id] = first.get(request_id, 0) + num_tokens
    return first


def test_a_follow_up_takes_its_conversation_over() -> None:
    scheduler, runner = make(min_shared=2)
    scheduler.submit(submit(1, [7, 8, 9], max_tokens=4))
    run_to_end(scheduler, runner)
    scheduler.submit(submit(2, [7, 8, 9, 1, 2, 3, 50, 51], max_tokens=1))
    outputs = run_to_end(scheduler, runner)
    assert runner.batches[-1] == [(2, 2)], "six tokens were there already"
    assert outputs[2][0].num_cached_tokens == 6
    assert scheduler.stats().cached_tokens_total == 6


def test_the_last_token_of_a_prompt_is_always_computed() -> None:
    scheduler, runner = make(min_shared=1)
    for request_id in (1, 2):
        scheduler.submit(submit(request_id, [7, 8, 9], max_tokens=1))
        run_to_end(scheduler, runner)
    assert runner.batches == [[(1, 3)], [(2, 1)]]


def test_a_prefix_is_taken_from_a_running_sequence_too() -> None:
    scheduler, runner = make(min_shared=2)
    scheduler.submit(submit(1, [7, 8, 9], max_tokens=9))
    step(scheduler, runner)
    scheduler.submit(submit(2, [7, 8, 50], max_tokens=2))
    outputs = run_to_end(scheduler, runner)
    assert runner.batches[1] == [(1, 1), (2, 1)]
    assert tokens_of(outputs[2]) == [1, 2]


def test_twins_wait_for_the_first_and_compute_their_ends_only() -> None:
    scheduler, runner = make(min_shared=2)
    common = list(range(100, 128))
    for request_id in range(4):
        scheduler.submit(submit(request_id, [*common, request_id + 1], max_tokens=1))
    outputs = run_to_end(scheduler, runner)
    assert prefilled(runner) == {0: 29, 1: 1, 2: 1, 3: 1}
    assert {len(tokens_of(o)) for o in outputs.values()} == {1}


def test_who_shares_nothing_overtakes_those_who_wait_for_a_leader() -> None:
    scheduler, runner = make(min_shared=2)
    common = list(range(100, 130))
    scheduler.submit(submit(1, common, max_tokens=1))
    scheduler.submit(submit(2, common, max_tokens=1))
    scheduler.submit(submit(3, [5, 6, 7], max_tokens=1))
    step(scheduler, runner)
    step(scheduler, runner)
    assert runner.batches == [[(1, 16)], [(1, 14), (3, 2)]]
    run_to_end(scheduler, runner)
    assert prefilled(runner)[2] == 1


def test_a_cancelled_leader_lets_its_followers_go() -> None:
    scheduler, runner = make(min_shared=2)
    common = list(range(100, 130))
    scheduler.submit(submit(1, common, max_tokens=1))
    scheduler.submit(submit(2, common, max_tokens=1))
    step(scheduler, runner)
    scheduler.cancel(Cancel(1))
    outputs = run_to_end(scheduler, runner)
    assert tokens_of(outputs[2]) == [1]
    assert prefilled(runner)[2] == 14, "16 tokens came from the cancelled leader"


def test_cells_that_a_failure_lost_are_not_taken_over() -> None:
    scheduler, runner = make(min_shared=1)
    scheduler.submit(submit(1, [7, 8, 9, 10], max_tokens=5))
    step(scheduler, runner)
    batch = scheduler.schedule()
    runner.lose(batch)
    scheduler.fail([work.sequence for work in batch.work], "lost")
    scheduler.take_outputs()
    scheduler.submit(submit(2, [7, 8, 9, 10], max_tokens=1))
    run_to_end(scheduler, runner)
    assert prefilled(runner)[2] == 4


class SchedulerMachine(RuleBasedStateMachine):
    """Any order of submits, cancels, failures and steps; the books must balance after each."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = SlotPool(3, CONTEXT, min_shared=2)
        self.scheduler = Scheduler(self.pool, LIMITS, {END})
        self.runner = FakeRunner(CONTEXT, self._next_token)
        self.next_id = 0
        self.open: set[int] = set()

    def _next_token(self, sequence: Sequence) -> int:
        return END if (sequence.request_id + sequence.num_generated_tokens) % 7 == 6 else 5

    @rule(prompt=st.lists(st.integers(5, 6), max_size=CONTEXT + 2), max_tokens=st.integers(0, 40))
    def submit(self, prompt: list[int], max_tokens: int) -> None:
        self.scheduler.submit(submit(self.next_id, prompt, max_tokens))
        self.open.add(self.next_id)
        self.next_id += 1

    @precondition(lambda self: self.next_id)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.scheduler.cancel(Cancel(data.draw(st.integers(0, self.next_id))))

    @rule(fails=st.booleans())
    def step(self, fails: bool) -> None:
        batch = self.scheduler.schedule()
        if fails and batch.work:
            self.runner.fail_next = True
            with pytest.raises(NativeError):
                self.runner.run(batch)
            self.scheduler.fail([w.sequence for w in batch.work], "failed")
        else:
            tokens = self.runner.run(batch)
            if batch.work:
                self.scheduler.advance(batch, tokens)
        self._note(self.scheduler.take_outputs())

    def _note(self, outputs: list[SequenceOutput]) -> None:
        for output in outputs:
            assert output.request_id in self.open, "an output after the last one"
            if output.finish_reason is not None:
                self.open.remove(output.request_id)

    @invariant()
    def books_balance(self) -> None:
        self.pool.check_integrity()
        assert self.scheduler.stats().num_running <= 3

    def teardown(self) -> None:
        for _ in range(1000):
            if self.scheduler.is_idle:
                break
            self.step(fails=False)
        assert not self.open, "a sequence without a last output"
        assert self.scheduler.stats().num_running == 0


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(1, 2), min_size=1, max_size=31), st.integers(1, 20)),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 4),
    st.integers(0, 4),
)
def test_everybody_gets_the_same_tokens_whoever_else_runs(
    requests: list[tuple[list[int], int]], num_slots: int, min_shared: int
) -> None:
    scheduler, runner = make(num_slots, min_shared)
    for request_id, (prompt, max_tokens) in enumerate(requests):
        scheduler.submit(submit(request_id, prompt, max_tokens))
    outputs = run_to_end(scheduler, runner)
    for request_id, (prompt, max_tokens) in enumerate(requests):
        expected = min(max_tokens, CONTEXT - len(prompt))
        assert tokens_of(outputs[request_id]) == list(range(1, expected + 1))
