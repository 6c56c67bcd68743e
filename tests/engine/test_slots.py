from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.engine.slots import Prefix, SlotPool, common_length


def tokens(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def use(pool: SlotPool, *values: int, keep: bool = True) -> int:
    """Compute a sequence in some slot, and end it."""
    prefix = pool.take(tokens(*values, 0))
    pool[prefix.slot].hold(tokens(*values)[prefix.length :])
    pool.give_back(prefix.slot, keep=keep)
    return prefix.slot


def test_the_slot_unused_for_longest_is_taken() -> None:
    pool = SlotPool(3, 10)
    assert [pool.take(tokens(1)).slot for _ in range(3)] == [0, 1, 2]
    assert not pool.has_free
    pool.give_back(1)
    pool.give_back(0)
    assert pool.take(tokens(1)).slot == 1


def test_an_idle_slot_is_continued_where_it_is() -> None:
    pool = SlotPool(3, 10)
    slot = use(pool, 1, 2, 3)
    assert pool.take(tokens(1, 2, 3, 4)) == Prefix(slot, slot, 3)
    assert pool[slot].length == 3


def test_a_conversation_that_goes_another_way_is_cut() -> None:
    pool = SlotPool(1, 10)
    use(pool, 1, 2, 3)
    assert pool.take(tokens(1, 2, 9, 9)) == Prefix(0, 0, 2)
    assert pool[0].tokens[:2].tolist() == [1, 2] and pool[0].length == 2


def test_a_long_conversation_is_not_lost_to_a_short_one_that_begins_alike() -> None:
    pool = SlotPool(2, 10)
    long = use(pool, 1, 2, 3, 4, 5, 6)
    prefix = pool.take(tokens(1, 2, 9))
    assert prefix == Prefix(1 - long, long, 2)
    assert pool[long].length == 6


def test_a_busy_slot_is_a_source() -> None:
    pool = SlotPool(2, 10)
    busy = pool.take(tokens(1, 2, 3, 4)).slot
    pool[busy].hold(tokens(1, 2, 3))
    assert pool.take(tokens(1, 2, 3, 4)) == Prefix(1, busy, 3)


def test_little_is_not_copied_but_kept_in_place() -> None:
    pool = SlotPool(2, 10, min_shared=3)
    busy = pool.take(tokens(1, 2, 3)).slot
    pool[busy].hold(tokens(1, 2))
    assert pool.take(tokens(1, 2, 3)) == Prefix(1, 1, 0)
    pool.give_back(busy)
    assert pool.take(tokens(1, 2, 3)) == Prefix(busy, busy, 2)


def test_nothing_is_shared_where_nothing_can_be() -> None:
    pool = SlotPool(1, 10, min_shared=0)
    use(pool, 1, 2, 3)
    assert pool.take(tokens(1, 2, 3, 4)) == Prefix(0, 0, 0)


def test_lost_cells_are_forgotten() -> None:
    pool = SlotPool(1, 10)
    use(pool, 1, 2, 3, keep=False)
    assert pool.take(tokens(1, 2, 3, 4)).length == 0
    assert pool.num_cached_cells == 0


def test_idle_cells_are_counted() -> None:
    pool = SlotPool(2, 10)
    use(pool, 1, 2, 3)
    assert pool.num_cached_cells == 3


def test_misuse_is_a_bug() -> None:
    pool = SlotPool(1, 10)
    pool.take(tokens(1))
    with pytest.raises(AssertionError):
        pool.take(tokens(1))
    pool.give_back(0)
    with pytest.raises(AssertionError):
        pool.give_back(0)


@given(st.lists(st.integers(0, 1), max_size=8), st.lists(st.integers(0, 1), max_size=8))
def test_common_length(one: list[int], other: list[int]) -> None:
    expected = 0
    while expected < min(len(one), len(other)) and one[expected] == other[expected]:
        expected += 1
    assert common_length(tokens(*one), tokens(*other)) == expected


@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(1, 2), max_size=8)), max_size=40))
def test_a_prefix_is_what_its_source_held(moves: list[tuple[bool, list[int]]]) -> None:
    pool, held, busy = SlotPool(3, 10), {0: [], 1: [], 2: []}, []
    for is_take, values in moves:
        if is_take and pool.has_free:
            prompt = [*values, 9]
            slot, source, length = pool.take(tokens(*prompt))
            assert held[source][:length] == prompt[:length] and length < len(prompt)
            held[slot] = prompt[:length]
            pool[slot].hold(tokens(*prompt[length:]))
            held[slot] += prompt[length:]
            busy.append(slot)
        elif busy:
            pool.give_back(busy.pop(0))
        pool.check_integrity()
