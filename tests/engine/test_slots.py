from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.engine.slots import Capacity, Prefix, SlotPool, common_length


def tokens(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def make(num_slots: int, num_cells: int | None = None, min_shared: int = 1) -> SlotPool:
    """Slots of ten tokens each."""
    return SlotPool(Capacity(num_slots, 10, num_cells or 10 * num_slots), min_shared=min_shared)


def take(pool: SlotPool, *prompt: int) -> Prefix:
    prefix = pool.match(tokens(*prompt))
    pool.take(prefix)
    return prefix


def use(pool: SlotPool, *values: int, keep: bool = True) -> int:
    """Compute a sequence in some slot, and end it."""
    prefix = take(pool, *values, 0)
    pool.hold(prefix.slot, tokens(*values)[prefix.length :])
    pool.give_back(prefix.slot, keep=keep)
    return prefix.slot


def test_the_slot_unused_for_longest_is_taken() -> None:
    pool = make(3)
    assert [take(pool, 1).slot for _ in range(3)] == [0, 1, 2]
    assert not pool.has_free
    pool.give_back(1)
    pool.give_back(0)
    assert take(pool, 1).slot == 1


def test_an_idle_slot_is_continued_where_it_is() -> None:
    pool = make(3)
    slot = use(pool, 1, 2, 3)
    assert take(pool, 1, 2, 3, 4) == Prefix(slot, slot, 3)
    assert pool.lengths[slot] == 3


def test_a_conversation_that_goes_another_way_is_cut() -> None:
    pool = make(1)
    use(pool, 1, 2, 3)
    assert take(pool, 1, 2, 9, 9) == Prefix(0, 0, 2)
    assert pool.tokens[0, :2].tolist() == [1, 2] and pool.lengths[0] == 2


def test_a_long_conversation_is_not_lost_to_a_short_one_that_begins_alike() -> None:
    pool = make(2)
    long = use(pool, 1, 2, 3, 4, 5, 6)
    prefix = take(pool, 1, 2, 9)
    assert prefix == Prefix(1 - long, long, 2)
    assert pool.lengths[long] == 6


def test_a_busy_slot_is_a_source() -> None:
    pool = make(2)
    busy = take(pool, 1, 2, 3, 4).slot
    pool.hold(busy, tokens(1, 2, 3))
    assert take(pool, 1, 2, 3, 4) == Prefix(1, busy, 3)


def test_little_is_not_copied_but_kept_in_place() -> None:
    pool = make(2, min_shared=3)
    busy = take(pool, 1, 2, 3).slot
    pool.hold(busy, tokens(1, 2))
    assert take(pool, 1, 2, 3) == Prefix(1, 1, 0)
    pool.give_back(busy)
    assert take(pool, 1, 2, 3) == Prefix(busy, busy, 2)


def test_nothing_is_shared_where_nothing_can_be() -> None:
    pool = make(1, min_shared=0)
    use(pool, 1, 2, 3)
    assert take(pool, 1, 2, 3, 4) == Prefix(0, 0, 0)


def test_lost_cells_are_forgotten() -> None:
    pool = make(1)
    use(pool, 1, 2, 3, keep=False)
    assert take(pool, 1, 2, 3, 4).length == 0
    assert pool.num_cached_cells == 0


def test_idle_cells_are_counted() -> None:
    pool = make(2)
    use(pool, 1, 2, 3)
    assert pool.num_cached_cells == 3


def test_misuse_is_a_bug() -> None:
    pool = make(1)
    prefix = take(pool, 1)
    with pytest.raises(AssertionError):
        pool.take(prefix)
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
    pool, held, busy = make(3), {0: [], 1: [], 2: []}, []
    for is_take, values in moves:
        if is_take and pool.has_free:
            prompt = [*values, 9]
            slot, source, length = take(pool, *prompt)
            assert held[source][:length] == prompt[:length] and length < len(prompt)
            held[slot] = prompt[:length]
            pool.hold(slot, tokens(*prompt[length:]))
            held[slot] += prompt[length:]
            busy.append(slot)
        elif busy:
            pool.give_back(busy.pop(0))
        pool.check_integrity()


def test_a_shared_cell_is_free_when_its_last_owner_lets_go() -> None:
    pool = make(2, num_cells=12)
    first = take(pool, 1, 2, 3, 4, 5, 6)
    pool.hold(first.slot, tokens(1, 2, 3, 4, 5, 6))
    second = take(pool, 1, 2, 3, 4, 9)
    pool.hold(second.slot, tokens(9))
    assert pool.cells.num_free == 12 - 6 - 1
    pool.give_back(first.slot, keep=False)
    assert (pool.cells.num_free, pool.cells.num_busy) == (12 - 5, 5)
    pool.give_back(second.slot, keep=False)
    assert (pool.cells.num_free, pool.cells.num_busy) == (12, 0)


def test_where_cells_are_not_shared_a_prefix_is_a_copy() -> None:
    pool = SlotPool(Capacity(2, 10, 20), shares_cells=False)
    first = take(pool, 1, 2, 3)
    pool.hold(first.slot, tokens(1, 2, 3))
    assert take(pool, 1, 2, 9) == Prefix(1, first.slot, 2)
    assert pool.cells.num_free == 20 - 3 - 2


def test_what_an_admission_needs_are_the_cells_that_nobody_uses_yet() -> None:
    pool = make(3)
    idle = use(pool, 1, 2, 3)
    assert pool.num_needed(Prefix(1, idle, 3), 5) == 5, "idle cells could have been evicted"
    busy = take(pool, 1, 2, 3, 4).slot
    assert pool.num_needed(Prefix(1, busy, 3), 5) == 2


def test_eviction_takes_the_slot_unused_for_longest_from_its_end() -> None:
    pool = SlotPool(Capacity(3, 200, 600))
    old, new = use(pool, *range(150)), use(pool, *range(200, 300))
    assert pool.evict(351) == [Prefix(old, old, 150 - 64)], "64 at once, one would have done"
    assert pool.evict(500) == [Prefix(old, old, 0)], "all of the older one"
    assert pool.evict(600) == [Prefix(new, new, 0)]
    assert pool.evict(601) == [] and pool.cells.num_free == 600


def test_a_cache_that_cannot_be_cut_is_evicted_whole() -> None:
    pool = SlotPool(Capacity(1, 200, 200), min_shared=0)
    use(pool, *range(150))
    assert pool.evict(51) == [Prefix(0, 0, 0)]


def test_where_slots_have_parts_of_their_own_the_busy_ones_stay_together() -> None:
    """A hole between them would be computed too."""
    pool = SlotPool(Capacity(6, 10, 60), shares_cells=False)
    for slot in [take(pool, 1).slot for _ in range(6)]:
        pool.give_back(slot)
    pool.give_back(take(pool, 1).slot)
    assert take(pool, 7, 8).slot == 1, "the one unused for longest"
    assert take(pool, 8, 8).slot == 2, "0 was used after it"
    assert take(pool, 9, 8).slot == 3
    pool.give_back(2)
    assert take(pool, 6, 8).slot == 4
    assert take(pool, 5, 8).slot == 5, "0 and the hole were used later"
    assert take(pool, 4, 8).slot == 0
    assert take(pool, 3, 8).slot == 2
