import itertools

import pytest

from cria.engine.sequence import (
    TRANSITIONS,
    IllegalTransition,
    Sequence,
    SequenceEvent,
    SequenceStatus,
)
from cria.ipc.messages import FinishReason, Submit
from cria.sampling_params import SamplingParams


def make_sequence(status: SequenceStatus = SequenceStatus.WAITING) -> Sequence:
    sequence = Sequence(Submit(7, [1, 2, 3], SamplingParams()))
    sequence.status = status
    return sequence


@pytest.mark.parametrize(
    ("status", "event"), list(itertools.product(SequenceStatus, SequenceEvent)), ids=str
)
def test_every_pair_follows_the_table_or_is_refused(
    status: SequenceStatus, event: SequenceEvent
) -> None:
    sequence = make_sequence(status)
    if (status, event) in TRANSITIONS:
        sequence.apply(event)
        assert sequence.status is TRANSITIONS[status, event]
    else:
        with pytest.raises(IllegalTransition, match=f"<Sequence 7 {status.value} slot=-1>"):
            sequence.apply(event)
        assert sequence.status is status


def test_a_sequence_ends_from_every_status_but_the_last() -> None:
    enders = {status for status, event in TRANSITIONS if event is SequenceEvent.ENDED}
    assert enders == set(SequenceStatus) - {SequenceStatus.FINISHED}


def test_finish_keeps_the_reason() -> None:
    sequence = make_sequence(SequenceStatus.DECODE)
    sequence.finish(FinishReason.LENGTH)
    assert sequence.finish_reason is FinishReason.LENGTH
    with pytest.raises(IllegalTransition):
        sequence.finish(FinishReason.STOP)


def test_missing_tokens_are_those_that_are_not_computed() -> None:
    sequence = make_sequence()
    sequence.num_computed_tokens = 1
    assert sequence.num_missing_tokens == len(sequence.prompt) - 1


def test_a_level_of_priority_is_worth_ten_seconds() -> None:
    def order(priority: int, arrival: float) -> tuple[float, int]:
        return Sequence(Submit(1, [1], SamplingParams(), priority), arrival).order

    assert order(0, 9.0) < order(1, 0.0) < order(0, 11.0)
