from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cria.errors import NativeError
from cria.ipc.messages import Cancel, FinishReason, SequenceOutput, Submit
from cria.logprobs import TokenLogprobs
from cria.sampling_params import SamplingParams
from tests.engine.fake_runner import END, Bench, FakeRunner, tokens_of, unpack

CONTEXT = 32


def submit(
    request_id: int,
    prompt: int | list[int],
    max_tokens: int = 5,
    priority: int = 0,
    num_kept: int | None = None,
    **params: int | None,
) -> Submit:
    """A prompt of so many tokens, or of these."""
    tokens = [9] * prompt if isinstance(prompt, int) else prompt
    values = SamplingParams(max_tokens=max_tokens, num_kept=num_kept, **params)  # type: ignore[arg-type]
    return Submit(request_id, tokens, values, priority)


def test_one_sequence_from_prompt_to_limit() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 3, max_tokens=4))
    outputs = bench.run()[1]
    assert tokens_of(outputs) == [1, 2, 3, 4]
    assert outputs[-1].finish_reason is FinishReason.LENGTH
    assert outputs[-1].num_generated_tokens == 4
    assert bench.runner.batches == [[(1, 3)], [(1, 1)], [(1, 1)], [(1, 1)]]
    assert bench.runner.contents == {0: [9, 9, 9, 1, 2, 3]}, "kept for prompts that begin alike"


def test_an_end_of_generation_token_ends_and_is_not_sent() -> None:
    bench = Bench()
    bench.runner.next_token = lambda _, count: count + 1 if count < 2 else END
    bench.scheduler.submit(submit(1, 3))
    outputs = bench.run()[1]
    assert tokens_of(outputs) == [1, 2]
    assert outputs[-1].finish_reason is FinishReason.STOP
    assert outputs[-1].num_generated_tokens == 3


def test_the_context_is_a_limit_too() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, CONTEXT - 3, max_tokens=100))
    outputs = bench.run()[1]
    assert len(tokens_of(outputs)) == 3
    assert outputs[-1].finish_reason is FinishReason.LENGTH


def test_sequences_join_and_leave_between_steps() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 2, max_tokens=4))
    bench.step()
    bench.scheduler.submit(submit(2, 2, max_tokens=2))
    bench.run()
    assert bench.runner.batches[1] == [(1, 1), (2, 2)]
    assert bench.runner.batches[2] == [(1, 1), (2, 1)]
    assert bench.runner.batches[3] == [(1, 1)]


def test_a_long_prompt_is_computed_in_chunks_beside_running_decodes() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 2, max_tokens=6))
    bench.step()
    bench.scheduler.submit(submit(2, 10, max_tokens=1))
    bench.run()
    assert bench.runner.batches[1:4] == [[(1, 1), (2, 4)], [(1, 1), (2, 4)], [(1, 1), (2, 2)]]


def test_without_decodes_prompts_get_the_whole_budget() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 20, max_tokens=1))
    bench.scheduler.submit(submit(2, 20, max_tokens=1))
    bench.step()
    bench.step()
    assert bench.runner.batches == [[(1, 16)], [(1, 4), (2, 12)]]


def test_more_sequences_than_slots_wait_in_order() -> None:
    bench = Bench(num_slots=2)
    for request_id in range(5):
        bench.scheduler.submit(submit(request_id, 2, max_tokens=2))
    assert (bench.scheduler.stats().num_waiting, bench.scheduler.stats().num_running) == (5, 0)
    outputs = bench.run()
    assert list(outputs) == [0, 1, 2, 3, 4]
    assert {len(tokens_of(o)) for o in outputs.values()} == {2}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (submit(1, 0), "the prompt is empty"),
        (submit(1, CONTEXT), "the prompt has 32 tokens, and a sequence holds 32"),
        (submit(1, 3, max_tokens=-1), "max_tokens is -1"),
        (submit(1, CONTEXT + 1, max_tokens=0), "the prompt has 33 tokens, and a sequence holds 32"),
    ],
)
def test_what_can_never_run_is_refused_at_once(message: Submit, reason: str) -> None:
    bench = Bench()
    bench.scheduler.submit(message)
    assert bench.step() == [SequenceOutput(1, (), FinishReason.ERROR, 0, reason)]
    assert bench.runner.batches == []


def test_a_request_id_in_use_is_refused_and_the_first_one_goes_on() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 2, max_tokens=2))
    bench.scheduler.submit(submit(1, 2))
    (refusal,) = bench.scheduler.take_output().outputs
    assert refusal.error == "request id 1 is in use"
    assert tokens_of(bench.run()[1]) == [1, 2]


@pytest.mark.parametrize("steps_before", [0, 1, 3])
def test_cancel_frees_the_slot_before_the_next_step(steps_before: int) -> None:
    bench = Bench(num_slots=1)
    bench.scheduler.submit(submit(1, 20, max_tokens=10))
    for _ in range(steps_before):
        bench.step()
    bench.scheduler.cancel(Cancel(1))
    bench.scheduler.submit(submit(2, 2, max_tokens=1))
    outputs = bench.run()
    assert outputs[1][-1].finish_reason is FinishReason.CANCELLED
    assert tokens_of(outputs[2]) == [1]
    assert len(bench.runner.batches[steps_before]) == 1, "only the second is left"
    assert bench.runner.batches[steps_before][0][0] == 2


def test_cancelling_what_has_ended_or_never_was_does_nothing() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 2, max_tokens=1))
    bench.run()
    bench.scheduler.cancel(Cancel(1))
    bench.scheduler.cancel(Cancel(99))
    assert bench.scheduler.is_idle


def test_failing_a_batch_ends_its_sequences_only() -> None:
    bench = Bench(num_slots=1)
    bench.scheduler.submit(submit(1, 2))
    bench.scheduler.submit(submit(2, 2, max_tokens=1))
    batch = bench.scheduler.schedule()
    bench.scheduler.fail(batch, "no luck")
    outputs = bench.run()
    assert outputs[1] == [SequenceOutput(1, (), FinishReason.ERROR, 0, "no luck")]
    assert tokens_of(outputs[2]) == [1]


def test_stats_prove_that_sequences_share_steps() -> None:
    bench = Bench()
    for request_id in range(4):
        bench.scheduler.submit(submit(request_id, 2, max_tokens=11))
    bench.run()
    stats = bench.scheduler.stats()
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
    bench = Bench(min_shared=2)
    bench.scheduler.submit(submit(1, [7, 8, 9], max_tokens=4))
    bench.run()
    bench.scheduler.submit(submit(2, [7, 8, 9, 1, 2, 3, 50, 51], max_tokens=1))
    outputs = bench.run()
    assert bench.runner.batches[-1] == [(2, 2)], "six tokens were there already"
    assert outputs[2][0].num_cached_tokens == 6
    assert bench.scheduler.stats().cached_tokens_total == 6


def test_the_last_token_of_a_prompt_is_always_computed() -> None:
    bench = Bench(min_shared=1)
    for request_id in (1, 2):
        bench.scheduler.submit(submit(request_id, [7, 8, 9], max_tokens=1))
        bench.run()
    assert bench.runner.batches == [[(1, 3)], [(2, 1)]]


def test_a_prefix_is_taken_from_a_running_sequence_too() -> None:
    bench = Bench(min_shared=2)
    bench.scheduler.submit(submit(1, [7, 8, 9], max_tokens=9))
    bench.step()
    bench.scheduler.submit(submit(2, [7, 8, 50], max_tokens=2))
    outputs = bench.run()
    assert bench.runner.batches[1] == [(1, 1), (2, 1)]
    assert tokens_of(outputs[2]) == [1, 2]


def test_twins_wait_for_the_first_and_compute_their_ends_only() -> None:
    bench = Bench(min_shared=2)
    common = list(range(100, 128))
    for request_id in range(4):
        bench.scheduler.submit(submit(request_id, [*common, request_id + 1], max_tokens=1))
    outputs = bench.run()
    assert prefilled(bench.runner) == {0: 29, 1: 1, 2: 1, 3: 1}
    assert {len(tokens_of(o)) for o in outputs.values()} == {1}


def test_who_shares_nothing_overtakes_those_who_wait_for_a_leader() -> None:
    bench = Bench(min_shared=2)
    common = list(range(100, 130))
    bench.scheduler.submit(submit(1, common, max_tokens=1))
    bench.scheduler.submit(submit(2, common, max_tokens=1))
    bench.scheduler.submit(submit(3, [5, 6, 7], max_tokens=1))
    bench.step()
    bench.step()
    assert bench.runner.batches == [[(1, 16)], [(1, 14), (3, 2)]]
    bench.run()
    assert prefilled(bench.runner)[2] == 1


def test_a_cancelled_leader_lets_its_followers_go() -> None:
    bench = Bench(min_shared=2)
    common = list(range(100, 130))
    bench.scheduler.submit(submit(1, common, max_tokens=1))
    bench.scheduler.submit(submit(2, common, max_tokens=1))
    bench.step()
    bench.scheduler.cancel(Cancel(1))
    outputs = bench.run()
    assert tokens_of(outputs[2]) == [1]
    assert prefilled(bench.runner)[2] == 14, "16 tokens came from the cancelled leader"


def test_nobody_waits_for_a_leader_that_is_less_urgent() -> None:
    bench = Bench(min_shared=2)
    common = list(range(100, 130))
    bench.scheduler.submit(submit(1, common, max_tokens=1, priority=5))
    bench.step()
    bench.scheduler.submit(submit(2, common, max_tokens=1))
    bench.step()
    assert bench.runner.batches[1] == [(2, 14), (1, 2)], "16 tokens were there already"


def test_a_preempted_leader_lets_its_followers_go() -> None:
    bench = Bench(3, 120, num_cells=200, min_shared=2, batch_size=20)
    common = list(range(200, 230))
    bench.scheduler.submit(submit(1, [9] * 4, max_tokens=110))
    bench.step()
    bench.scheduler.submit(submit(2, common, max_tokens=40), 1.0)
    bench.step()
    bench.scheduler.submit(submit(3, common, max_tokens=40), 2.0)
    bench.step()
    follower = bench.scheduler._by_id[3]
    leader = follower.leader
    assert leader is bench.scheduler._by_id[2]
    bench.scheduler._preempt(leader)
    outputs = bench.run()
    for request_id in (2, 3):
        assert tokens_of(outputs[request_id]) == list(range(1, 41))
    # Each of the 30 is computed once, but for the last one, whose logits the follower needs too.
    assert prefilled(bench.runner)[2] + prefilled(bench.runner)[3] == 30 + 1 + 2 * 39
    bench.check_integrity()


def test_who_runs_remembers_no_leader() -> None:
    bench = Bench(min_shared=2)
    common = list(range(100, 129))
    for request_id in range(3):
        bench.scheduler.submit(submit(request_id, [*common, request_id], max_tokens=9))
    bench.step()
    waiting = [bench.scheduler._by_id[request_id] for request_id in (1, 2)]
    assert all(sequence.leader is bench.scheduler._by_id[0] for sequence in waiting)
    for _ in range(2):
        bench.step()
    assert [sequence.leader for sequence in waiting] == [None, None]


def test_a_slot_may_be_evicted_in_the_step_that_copies_from_it() -> None:
    bench = Bench(2, 200, num_cells=200, min_shared=2, batch_size=200)
    long = list(range(1000, 1150))
    bench.scheduler.submit(submit(1, long, max_tokens=1))
    bench.run()
    bench.scheduler.submit(submit(2, [*long[:50], *[5] * 100], max_tokens=3))
    batch = bench.scheduler.schedule()
    assert batch.prefixes == [(1, 0, 50), (0, 0, 150 - 64)], "copied first"
    bench.runner.start(batch)
    bench.scheduler.hold(batch)
    bench.scheduler.advance(batch, bench.runner.finish(batch))
    bench.check_integrity()
    first = unpack(bench.scheduler.take_output())
    assert tokens_of([*first, *bench.run()[2]]) == [1, 2, 3]


def test_a_slot_may_get_another_prompt_in_the_step_that_copies_from_it() -> None:
    bench = Bench(2, min_shared=2)
    long = list(range(1000, 1020))
    bench.scheduler.submit(submit(1, long, max_tokens=1))
    bench.run()
    bench.scheduler.submit(submit(2, [*long[:8], 5], max_tokens=2))
    bench.scheduler.submit(submit(3, [7, 7, 7], max_tokens=2))
    bench.step()
    assert bench.runner.batches[-1] == [(2, 1), (3, 3)]
    bench.check_integrity()
    bench.run()
    assert [bench.runner.contents[slot][:3] for slot in (1, 0)] == [long[:3], [7, 7, 7]]


def test_a_failed_step_has_taken_prefixes_over_for_those_that_it_does_not_compute() -> None:
    bench = Bench(min_shared=2)
    common = list(range(100, 110))
    bench.scheduler.submit(submit(1, common, max_tokens=20))
    bench.step()
    for request_id in (2, 3):
        bench.scheduler.submit(submit(request_id, [*common, *[request_id] * 9], max_tokens=2))
    batch = bench.scheduler.schedule()
    assert [sequence.request_id for sequence in batch.admitted] == [2, 3]
    assert [work.sequence.request_id for work in batch.prefills] == [2], "no budget for both"
    bench.runner.fail_next = True
    with pytest.raises(NativeError):
        bench.runner.start(batch)
    bench.runner.lose(batch)
    bench.scheduler.fail(batch, "failed")
    bench.check_integrity()
    outputs = bench.run()
    assert [outputs[request_id][-1].error for request_id in (1, 2)] == ["failed"] * 2
    assert tokens_of(outputs[3]) == [1, 2]
    assert prefilled(bench.runner)[3] == 9 + 1


def test_what_others_share_with_an_evicted_slot_stays() -> None:
    bench = Bench(3, 100, num_cells=110, min_shared=2, batch_size=100)
    common = list(range(1000, 1040))
    bench.scheduler.submit(submit(1, common, max_tokens=1))
    bench.scheduler.submit(submit(2, [*common[:15], 5], max_tokens=60))
    while not bench.scheduler.stats().decode_tokens_total:
        bench.step()
    bench.scheduler.submit(submit(3, [6] * 60, max_tokens=30))
    outputs = bench.run()
    assert len(bench.runner.contents[0]) < 40, "evicted"
    assert tokens_of(outputs[2])[-1] == 60
    assert tokens_of(outputs[3]) == list(range(1, 31))
    bench.check_integrity()


def test_cells_that_a_failure_lost_are_not_taken_over() -> None:
    bench = Bench(min_shared=1)
    bench.scheduler.submit(submit(1, [7, 8, 9, 10], max_tokens=5))
    bench.step()
    batch = bench.scheduler.schedule()
    bench.runner.lose(batch)
    bench.scheduler.fail(batch, "lost")
    bench.scheduler.take_output()
    bench.scheduler.submit(submit(2, [7, 8, 9, 10], max_tokens=1))
    bench.run()
    assert prefilled(bench.runner)[2] == 4


def order_of_first_tokens(bench: Bench) -> list[int]:
    """Request ids."""
    return list(bench.run())


def test_a_request_with_priority_overtakes_those_that_came_before() -> None:
    bench = Bench(num_slots=1)
    bench.scheduler.submit(submit(1, 2), 0.0)
    bench.step()
    bench.scheduler.submit(submit(2, 2), 1.0)
    bench.scheduler.submit(submit(3, 2, priority=-1), 2.0)
    bench.scheduler.submit(submit(4, 2, priority=1), 3.0)
    assert order_of_first_tokens(bench) == [1, 3, 2, 4]


def test_who_waits_long_enough_is_overtaken_by_nobody() -> None:
    bench = Bench(num_slots=1)
    bench.scheduler.submit(submit(1, 2, priority=3), 0.0)
    bench.scheduler.submit(submit(2, 2, priority=0), 29.0)
    bench.scheduler.submit(submit(3, 2, priority=0), 31.0)
    assert order_of_first_tokens(bench) == [2, 1, 3]


def test_prompts_are_computed_in_order_of_priority_too() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 30, max_tokens=1))
    bench.step()
    bench.scheduler.submit(submit(2, 10, max_tokens=1, priority=-1))
    bench.step()
    assert bench.runner.batches == [[(1, 16)], [(2, 10), (1, 6)]]


def test_a_sequence_is_admitted_when_there_are_cells_for_its_prompt() -> None:
    bench = Bench(num_cells=32)
    bench.scheduler.submit(submit(1, 20, max_tokens=4))
    bench.scheduler.submit(submit(2, 10, max_tokens=4))
    bench.step()
    assert bench.scheduler.stats().num_waiting == 1, "20 + 3 + 10 + 3 cells are too many"
    outputs = bench.run()
    assert [tokens_of(outputs[request_id]) for request_id in (1, 2)] == [[1, 2, 3, 4]] * 2
    assert bench.scheduler.stats().preemptions_total == 0


def test_what_running_sequences_need_soon_is_not_given_away() -> None:
    bench = Bench(2, 100, num_cells=100, batch_size=100)
    bench.scheduler.submit(submit(1, 5, max_tokens=60))
    bench.step()
    bench.scheduler.submit(submit(2, 40, max_tokens=2))
    bench.step()
    assert bench.scheduler.stats().num_waiting == 1, "5 + 59 and 40 + 1 cells are too many"
    bench.run()
    assert bench.scheduler.stats().preemptions_total == 0


def test_idle_slots_are_evicted_from_the_end_before_anybody_is_preempted() -> None:
    bench = Bench(context_size=200, num_cells=220, min_shared=2, batch_size=200)
    bench.scheduler.submit(submit(1, list(range(10, 160)), max_tokens=1))
    bench.run()
    bench.scheduler.submit(submit(2, [5] * 100, max_tokens=1))
    bench.run()
    stats = bench.scheduler.stats()
    assert (stats.preemptions_total, stats.num_cached_cells) == (0, 100 + 150 - 64)
    bench.scheduler.submit(submit(3, list(range(10, 160)), max_tokens=1))
    assert bench.run()[3][0].num_cached_tokens == 150 - 64


def test_the_last_in_order_is_preempted_and_goes_on_where_it_was() -> None:
    bench = Bench(num_slots=2, context_size=200, num_cells=200, batch_size=200)
    for request_id in (1, 2):
        bench.scheduler.submit(submit(request_id, [request_id] * 10, max_tokens=180))
    outputs = bench.run()
    assert bench.scheduler.stats().preemptions_total > 0
    first_preempted = next(batch for batch in bench.runner.batches[2:] if len(batch) == 1)
    assert first_preempted[0][0] == 1, "who came first goes on"
    for request_id in (1, 2):
        assert tokens_of(outputs[request_id]) == list(range(1, 181))
        assert outputs[request_id][-1].num_generated_tokens == 180


def test_the_pause_of_a_preempted_sequence_is_counted_too() -> None:
    bench = Bench(num_slots=2, context_size=200, num_cells=200, batch_size=200)
    for request_id in (1, 2):
        bench.scheduler.submit(submit(request_id, [request_id] * 10, max_tokens=180))
    while not bench.scheduler.is_idle:
        batch = bench.scheduler.schedule()
        bench.runner.start(batch)
        bench.scheduler.hold(batch)
        bench.scheduler.advance(batch, bench.runner.finish(batch), 0.02)
        bench.scheduler.take_output()
    stats = bench.scheduler.stats()
    assert sum(stats.stalls) == 2 * 179, "one pause between any two tokens"
    assert stats.preemptions_total == 1
    # About 90 steps until the other one has ended.
    assert stats.stalls == (0, 0, 2 * 179 - 1, 0, 0, 0, 0, 0, 1, 0, 0)


def test_cached_tokens_are_told_once() -> None:
    bench = Bench(min_shared=2)
    bench.scheduler.submit(submit(1, [7, 8, 9], max_tokens=1))
    bench.run()
    bench.scheduler.submit(submit(2, [7, 8, 9], max_tokens=5))
    outputs = bench.step()
    bench.scheduler.cancel(Cancel(2))
    outputs += bench.step()
    assert [output.num_cached_tokens for output in outputs] == [2, 0]


def test_a_preempted_sequence_can_be_cancelled() -> None:
    bench = Bench(num_slots=2, context_size=200, num_cells=200, batch_size=200)
    for request_id in (1, 2):
        bench.scheduler.submit(submit(request_id, [request_id] * 10, max_tokens=180))
    while not bench.scheduler.stats().num_waiting or len(bench.runner.batches) < 2:
        bench.step()
    bench.scheduler.cancel(Cancel(2))
    outputs = bench.run()
    assert outputs[2][-1].finish_reason is FinishReason.CANCELLED
    assert len(tokens_of(outputs[1])) + 95 > 180


def test_log_probabilities_travel_with_their_tokens() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 2, max_tokens=3, logprobs=0))
    bench.scheduler.submit(submit(2, 2, max_tokens=3))
    outputs = bench.run()
    found = [(output.token_ids, output.logprobs) for output in outputs[1]]
    assert found == [((token,), TokenLogprobs(-float(token), [])) for token in (1, 2, 3)]
    assert [output.logprobs for output in outputs[2]] == [None] * 3


def test_a_prompt_is_scored_as_it_is_computed_whatever_the_cache_holds() -> None:
    bench = Bench(min_shared=1, num_slots=1)
    prompt = list(range(5, 25))
    bench.scheduler.submit(submit(1, prompt, max_tokens=1))
    bench.run()
    bench.scheduler.submit(submit(2, prompt, max_tokens=0, prompt_logprobs_from=8))
    *parts, last = bench.run()[2]
    told = [entry.logprob for output in parts for entry in output.prompt_logprobs]
    assert told == [-float(token) for token in prompt[8:]]
    assert (last.finish_reason, last.token_ids) == (FinishReason.LENGTH, ())
    assert last.num_cached_tokens == 7, "the row of the token before the first one is computed"


def test_only_so_many_rows_are_scored_in_a_step() -> None:
    bench = Bench()
    bench.scheduler.limits = bench.scheduler.limits._replace(num_scored_rows=3)
    bench.scheduler.submit(submit(1, 10, max_tokens=0, prompt_logprobs_from=3))
    bench.scheduler.submit(submit(2, 10, max_tokens=0, prompt_logprobs_from=1))
    bench.run()
    assert bench.runner.batches == [
        [(1, 5)],
        [(1, 3)],
        [(1, 2), (2, 2)],
        [(2, 3)],
        [(2, 3)],
        [(2, 2)],
    ]


def test_scoring_prompts_leave_room_for_the_others() -> None:
    bench = Bench(num_slots=3)
    bench.scheduler.limits = bench.scheduler.limits._replace(num_scored_rows=2)
    for request_id in range(4):
        bench.scheduler.submit(submit(request_id, 20, max_tokens=0, prompt_logprobs_from=1))
    bench.scheduler.submit(submit(9, [5, 6], max_tokens=1))
    bench.step()
    assert [request_id for request_id, _ in bench.runner.batches[0]] == [0, 9]
    assert bench.scheduler.stats().num_waiting == 3, "more of them would only occupy slots"
    outputs = bench.run()
    assert sorted(outputs) == [0, 1, 2, 3]
    for request_id in range(4):
        assert sum(len(output.prompt_logprobs) for output in outputs[request_id]) >= 17


def test_a_prompt_alone_may_fill_the_context() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, CONTEXT, max_tokens=0))
    (only,) = bench.run()[1]
    assert (only.finish_reason, only.num_generated_tokens) == (FinishReason.LENGTH, 0)


def test_the_pauses_of_running_sequences_are_counted() -> None:
    bench = Bench()
    bench.scheduler.submit(submit(1, 2, max_tokens=4))
    for seconds in (9.0, 0.004, 0.15, 0.15):
        batch = bench.scheduler.schedule()
        bench.runner.start(batch)
        bench.scheduler.hold(batch)
        bench.scheduler.advance(batch, bench.runner.finish(batch), seconds)
    # The first step computes the prompt: nobody has to wait for a next token yet.
    assert bench.scheduler.stats().stalls == (1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0)


class SchedulerMachine(RuleBasedStateMachine):
    """Any order of submits, cancels, failures and steps; the books must balance after each."""

    def __init__(self) -> None:
        super().__init__()
        # Fewer cells than three slots can fill: sequences are preempted.
        self.bench = self.make_bench(num_cells=CONTEXT + 20)
        self.next_id = 0
        self.open: set[int] = set()
        self.scored: dict[int, list[float]] = {}  # what is still to be told of prompts

    def make_bench(self, num_cells: int) -> Bench:
        return Bench(3, CONTEXT, min_shared=2, num_cells=num_cells, next_token=self._next_token)

    @staticmethod
    def _next_token(request_id: int, num_tokens: int) -> int:
        period = 7 if request_id % 2 else 60  # the long ones reach the end of their context
        return END if (request_id + num_tokens) % period == 6 else 5

    @rule(
        prompt=st.lists(st.integers(5, 6), max_size=CONTEXT + 2),
        max_tokens=st.integers(0, 40),
        priority=st.integers(-2, 2),
        scored_from=st.none() | st.integers(1, CONTEXT),
        num_kept=st.none() | st.integers(0, CONTEXT + 1),
    )
    def submit(
        self,
        prompt: list[int],
        max_tokens: int,
        priority: int,
        scored_from: int | None,
        num_kept: int | None,
    ) -> None:
        message = submit(
            self.next_id,
            prompt,
            max_tokens,
            priority,
            prompt_logprobs_from=scored_from,
            logprobs=scored_from,
            num_kept=num_kept,
        )
        self.bench.scheduler.submit(message, float(self.next_id))
        self.open.add(self.next_id)
        wanted = prompt[scored_from:] if scored_from else []
        self.scored[self.next_id] = [-float(token) for token in wanted]
        self.next_id += 1

    @precondition(lambda self: self.next_id)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.bench.scheduler.cancel(Cancel(data.draw(st.integers(0, self.next_id))))

    @rule()
    def step(self) -> None:
        self._note(self.bench.step())
        self.bench.check_integrity()

    @rule()
    def fail(self) -> None:
        batch = self.bench.scheduler.schedule()
        if not batch.is_empty:
            self.bench.runner.fail_next = True
            with pytest.raises(NativeError):
                self.bench.runner.start(batch)
            self.bench.runner.lose(batch)
            self.bench.scheduler.fail(batch, "failed")
            self.bench.check_integrity()
        self._note(unpack(self.bench.scheduler.take_output()))

    def _note(self, outputs: list[SequenceOutput]) -> None:
        for output in outputs:
            assert output.request_id in self.open, "an output after the last one"
            missing = self.scored[output.request_id]
            for entry in output.prompt_logprobs:
                assert entry.logprob == missing.pop(0)
            assert not (output.token_ids and missing), "a token before the prompt was scored"
            if output.finish_reason is not None:
                self.open.remove(output.request_id)

    @invariant()
    def books_balance(self) -> None:
        self.bench.pool.check_integrity()
        assert self.bench.scheduler.stats().num_running <= 3

    def teardown(self) -> None:
        for _ in range(2000):
            if self.bench.scheduler.is_idle:
                break
            self.step()
        assert not self.open, "a sequence without a last output"
        assert self.bench.scheduler.stats().num_running == 0
        self.bench.check_integrity()


class CopyingSchedulerMachine(SchedulerMachine):
    """The same in streams: a part of the cache for each slot, and prefixes are copies."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = self.make_bench(num_cells=3 * CONTEXT)
        self.bench.copy_prefixes()

    @invariant()
    def nobody_is_preempted(self) -> None:
        assert self.bench.scheduler.stats().preemptions_total == 0


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestCopyingSchedulerMachine = CopyingSchedulerMachine.TestCase
TestCopyingSchedulerMachine.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(1, 2), min_size=1, max_size=31),
            st.integers(1, 20) | st.integers(1, 70),
            st.integers(-1, 1),
            st.none() | st.integers(0, 24),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 4),
    st.integers(0, 4),
    st.integers(0, 64),
)
def test_everybody_gets_the_same_tokens_whoever_else_runs(
    requests: list[tuple[list[int], int, int, int | None]],
    num_slots: int,
    min_shared: int,
    more_cells: int,
) -> None:
    bench = Bench(num_slots, min_shared=min_shared, num_cells=CONTEXT + more_cells)
    for request_id, request in enumerate(requests):
        bench.scheduler.submit(submit(request_id, *request))
    outputs = bench.run()
    for request_id, (prompt, max_tokens, _, num_kept) in enumerate(requests):
        ends_there = num_kept is None
        expected = min(max_tokens, CONTEXT - len(prompt)) if ends_there else max_tokens
        assert tokens_of(outputs[request_id]) == list(range(1, expected + 1))
        assert outputs[request_id][-1].num_generated_tokens == expected
