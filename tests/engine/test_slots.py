import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.engine.slots import SlotPool


def test_the_lowest_free_slot_is_taken_first() -> None:
    pool = SlotPool(3, 30)
    assert [pool.take(1), pool.take(1), pool.take(1)] == [0, 1, 2]
    pool.give_back(1)
    pool.give_back(0)
    assert pool.take(1) == 0


def test_no_slot_and_no_cells_are_both_reasons_to_wait() -> None:
    pool = SlotPool(2, 10)
    assert not pool.can_take(11)
    pool.take(6)
    assert pool.can_take(4)
    assert not pool.can_take(5)
    pool.take(1)
    assert not pool.can_take(1)


def test_taking_more_than_there_is_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        SlotPool(1, 10).take(11)


def test_a_slot_is_given_back_once() -> None:
    pool = SlotPool(1, 10)
    pool.give_back(pool.take(10))
    with pytest.raises(KeyError):
        pool.give_back(0)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=60))
def test_cells_and_slots_never_get_lost(moves: list[tuple[bool, int]]) -> None:
    pool, taken = SlotPool(4, 20), []
    for is_take, size in moves:
        if is_take and pool.can_take(size):
            taken.append(pool.take(size))
        elif taken:
            pool.give_back(taken.pop(size % len(taken)))
        pool.check_integrity()
    for slot in taken:
        pool.give_back(slot)
    pool.check_integrity()
    assert pool.num_free_cells == 20
