from __future__ import annotations

import numpy as np
import pytest

from cria.engine.decoding import DecodingSet
from cria.engine.sequence import Sequence
from cria.ipc.messages import Submit
from cria.sampling_params import SamplingParams

END = 7


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def sequence(request_id: int, slot: int, num_generated: int = 1) -> Sequence:
    made = Sequence(Submit(request_id, [1, 2, 3], SamplingParams()))
    made.slot, made.num_generated_tokens = slot, num_generated
    return made


VOCAB_SIZE = 1000


def make(*members: tuple[Sequence, int, int], ends: tuple[int, ...] = (END,)) -> DecodingSet:
    """Of sequences, each with its last token and how many it may still get."""
    decoding = DecodingSet(VOCAB_SIZE, ends)
    for member in members:
        decoding.add(*member)
    return decoding


def test_slots_rise_whoever_came_first() -> None:
    decoding = make((sequence(1, 5), 50, 9), (sequence(2, 0), 10, 9), (sequence(3, 3), 30, 9))
    assert decoding.slots.tolist() == [0, 3, 5]
    assert decoding.last_tokens.tolist() == [10, 30, 50]
    assert len(decoding) == 3 and decoding[3].request_id == 3
    assert {each.request_id for each in decoding.sequences} == {1, 2, 3}


def test_each_token_goes_to_the_sequence_of_its_slot() -> None:
    decoding = make((sequence(1, 5), 50, 9), (sequence(2, 0), 10, 9))
    assert decoding.advance(numbers(11, 51)) == ([2, 1], [11, 51], [])
    assert decoding.last_tokens.tolist() == [11, 51]


def test_an_end_token_a_limit_and_no_token_end_a_sequence() -> None:
    members = [sequence(request_id, request_id) for request_id in range(4)]
    remaining = [9, 9, 1, 9]
    decoding = make(*((each, 20, remaining[each.slot]) for each in members))
    request_ids, token_ids, ended = decoding.advance(numbers(21, END, 22, -1))
    assert (request_ids, token_ids) == ([0], [21])
    assert ended == [(members[1], END), (members[2], 22), (members[3], -1)]
    assert len(decoding) == 4, "whoever asked removes them"


def test_the_limit_is_reached_exactly() -> None:
    decoding = make((sequence(1, 0), 20, 3))
    assert [len(decoding.advance(numbers(5)).ended) for _ in range(3)] == [0, 0, 1]


@pytest.mark.parametrize("token", [0, 6, 8, VOCAB_SIZE - 1])
def test_other_tokens_do_not_end_anything(token: int) -> None:
    decoding = make((sequence(1, 0), 20, 9))
    assert not decoding.is_end(token)
    assert decoding.advance(numbers(token)) == ([1], [token], [])


def test_a_model_may_have_no_end_token_or_several() -> None:
    decoding = make((sequence(1, 0), 20, 9), ends=())
    assert decoding.advance(numbers(0)).ended == []
    assert not decoding.is_end(0) and not decoding.is_end(-1)
    decoding = DecodingSet(9, (2, 5))
    assert [token for token in range(-1, 8) if decoding.is_end(token)] == [2, 5]


def test_who_leaves_knows_what_it_has_generated() -> None:
    one, other = sequence(1, 0, num_generated=4), sequence(2, 1)
    decoding = make((one, 20, 9), (other, 30, 9))
    decoding.advance(numbers(21, 31))
    decoding.advance(numbers(22, 32))
    assert decoding.remove(one) == 22
    assert (one.num_generated_tokens, other.num_generated_tokens) == (6, 1)
    assert decoding.slots.tolist() == [1]
    assert decoding.advance(numbers(33)).request_ids == [2]


def test_a_slot_is_as_new_for_its_next_sequence() -> None:
    first, second = sequence(1, 0, num_generated=9), sequence(2, 0)
    decoding = make((first, 20, 1))
    decoding.remove(first)
    decoding.add(second, 40, 2)
    assert decoding.advance(numbers(41)) == ([2], [41], [])
    decoding.remove(second)
    assert second.num_generated_tokens == 2


def test_the_slots_of_a_step_are_not_changed_by_the_next_one() -> None:
    one, other = sequence(1, 0), sequence(2, 1)
    decoding = make((one, 20, 9), (other, 30, 9))
    before = decoding.slots
    decoding.remove(one)
    assert before.tolist() == [0, 1]


def test_what_is_still_to_come_is_counted_up_to_a_limit() -> None:
    decoding = make((sequence(1, 0), 20, 3), (sequence(2, 1), 30, 500))
    assert decoding.num_ahead(64) == 67
    decoding.advance(numbers(21, 31))
    assert decoding.num_ahead(64) == 66
    assert DecodingSet(2, ()).num_ahead(64) == 0
