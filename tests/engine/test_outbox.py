"""What is told of a step; the whole of it is in test_scheduler.py."""

from __future__ import annotations

from cria.engine.outbox import Outbox
from cria.engine.scheduled import StepLogprobs
from cria.engine.sequence import Sequence
from cria.ipc.messages import EngineStats, FinishReason, SequenceOutput, StepOutput, Submit
from cria.logprobs import TokenLogprobs
from cria.sampling_params import SamplingParams

ENTRY = TokenLogprobs(-1.0, [(4, -0.5)])


def make_sequence(request_id: int = 1) -> Sequence:
    sequence = Sequence(Submit(request_id, [1, 2, 3], SamplingParams()))
    sequence.num_cached_tokens, sequence.num_generated_tokens = 2, 1
    return sequence


def test_what_just_goes_on_crosses_flat() -> None:
    outbox = Outbox()
    outbox.went_on([1, 2], [10, 20])
    assert outbox.has_output and not outbox.has_single_output
    assert outbox.take(EngineStats()) == StepOutput([], EngineStats(), [1, 2], [10, 20])
    assert not outbox.has_output


def test_log_probabilities_take_their_token_out_of_the_flat_lists() -> None:
    outbox = Outbox()
    outbox.logprobs = StepLogprobs({2: ENTRY}, {})
    outbox.went_on([1, 2, 3], [10, 20, 30])
    output = outbox.take(EngineStats())
    assert (output.request_ids, output.token_ids) == ([1, 3], [10, 30])
    assert output.outputs == [SequenceOutput(2, (20,), logprobs=ENTRY)]


def test_cached_tokens_are_told_once() -> None:
    outbox, sequence = Outbox(), make_sequence()
    outbox.began(sequence, 7)
    outbox.ended(sequence, FinishReason.STOP)
    first, last = outbox.take(EngineStats()).outputs
    assert (first.num_cached_tokens, last.num_cached_tokens) == (2, 0)


def test_an_end_without_a_token_has_no_log_probability() -> None:
    outbox = Outbox()
    outbox.logprobs = StepLogprobs({1: ENTRY}, {})
    outbox.ended(make_sequence(), FinishReason.STOP)
    outbox.ended(make_sequence(), FinishReason.LENGTH, (5,))
    stop, length = outbox.take(EngineStats()).outputs
    assert (stop.logprobs, length.logprobs) == (None, ENTRY)


def test_a_prompt_without_scores_is_not_mentioned() -> None:
    outbox = Outbox()
    outbox.logprobs = StepLogprobs({}, {2: [ENTRY]})
    outbox.scored(make_sequence(1))
    outbox.scored(make_sequence(2))
    assert outbox.take(EngineStats()).outputs == [SequenceOutput(2, (), prompt_logprobs=[ENTRY])]
