"""Who waits for whom; what the scheduler makes of it is in test_scheduler.py."""

from __future__ import annotations

from cria.engine.leaders import find_leader, must_wait
from cria.engine.sequence import Sequence, SequenceEvent
from cria.ipc.messages import Submit
from cria.sampling_params import SamplingParams


def make_sequence(request_id: int, token_ids: list[int], priority: int = 0) -> Sequence:
    return Sequence(Submit(request_id, token_ids, SamplingParams(), priority))


def running(request_id: int, token_ids: list[int], num_computed: int = 0) -> Sequence:
    sequence = make_sequence(request_id, token_ids)
    sequence.apply(SequenceEvent.ADMITTED)
    sequence.num_computed_tokens = num_computed
    return sequence


def test_the_leader_is_who_is_about_to_compute_most_of_the_prompt() -> None:
    few, many = running(0, [1, 2, 3, 9, 9]), running(1, [1, 2, 3, 4, 9])
    assert find_leader(make_sequence(2, [1, 2, 3, 4, 5]), [few, many], 2) is many


def test_what_is_computed_already_is_nothing_to_wait_for() -> None:
    leader = running(0, [1, 2, 3, 4, 9], num_computed=3)
    sequence = make_sequence(1, [1, 2, 3, 4, 5])
    assert find_leader(sequence, [leader], 2) is None
    assert find_leader(sequence, [leader], 1) is leader


def test_without_sharing_nobody_leads() -> None:
    assert find_leader(make_sequence(1, [1, 2, 3]), [running(0, [1, 2, 3])], 0) is None


def test_who_is_sooner_does_not_wait() -> None:
    urgent = make_sequence(1, [1, 2, 3], priority=-1)
    assert find_leader(urgent, [running(0, [1, 2, 3])], 1) is None


def test_waiting_ends_with_the_common_part() -> None:
    leader, follower = running(0, [1, 2, 3, 4, 5, 6]), make_sequence(1, [1, 2, 3, 9, 9])
    leader.num_computed_tokens = 1
    assert must_wait(follower, [leader], 2)
    leader.num_computed_tokens = 2
    assert must_wait(follower, [leader], 2)
    leader.num_computed_tokens = 3
    assert not must_wait(follower, [leader], 2)


def test_waiting_ends_with_the_leaders_prompt() -> None:
    leader, follower = running(0, [1, 2, 3, 4]), make_sequence(1, [1, 2, 3, 5])
    assert must_wait(follower, [leader], 2)
    leader.apply(SequenceEvent.PROMPT_COMPUTED)
    assert not must_wait(follower, [leader], 2)
    assert not must_wait(make_sequence(2, [7, 8]), [leader], 2)
