"""The books of the cells, against a model with Python sets."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cria.engine.cells import CellBook

NUM_CELLS, NUM_SLOTS, CONTEXT = 24, 4, 10


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_cells_are_taken_and_come_back() -> None:
    book = CellBook(10, 2, 8)
    book.append(0, 0, 5)
    book.append_each(numbers(0, 1), numbers(5, 0))
    assert (book.num_free, book.num_busy) == (3, 7)
    book.cut(0, 4, 6, busy=True)
    assert (book.num_free, book.num_busy) == (5, 5)
    book.set_busy(0, 4, False)
    assert (book.num_free, book.num_busy) == (5, 1)
    book.cut(0, 0, 4, busy=False)
    assert (book.num_free, book.num_busy) == (9, 1)


def test_a_shared_cell_is_counted_once() -> None:
    book = CellBook(10, 3, 8)
    book.append(0, 0, 5)
    book.share(0, 1, 4)
    book.share(1, 2, 2)
    assert (book.num_free, book.num_busy) == (5, 5)
    book.set_busy(0, 5, False)
    assert book.num_busy == 4, "the fifth is the first slot's alone"
    book.cut(0, 0, 5, busy=False)
    assert (book.num_free, book.num_busy) == (6, 4)
    book.cut(1, 2, 4, busy=True)
    assert (book.num_free, book.num_busy) == (8, 2)


def test_what_an_idle_slot_shares_with_a_busy_one_stays_busy() -> None:
    book = CellBook(10, 2, 8)
    book.append(0, 0, 4)
    book.set_busy(0, 4, False)
    assert book.num_busy == 0
    book.share(0, 1, 3)
    assert (book.num_free, book.num_busy) == (6, 3)
    book.cut(0, 0, 4, busy=False)
    assert (book.num_free, book.num_busy) == (7, 3)


def test_more_than_there_is_cannot_be_taken() -> None:
    book = CellBook(4, 1, 8)
    with pytest.raises(AssertionError, match="no free cell"):
        book.append(0, 0, 5)
    book.append(0, 0, 4)
    assert book.num_free == 0


def test_books_that_disagree_are_noticed() -> None:
    book = CellBook(4, 1, 4)
    book.append(0, 0, 2)
    book.check_integrity()
    book.num_free += 1
    with pytest.raises(AssertionError, match="lost"):
        book.check_integrity()
    book.num_free -= 1
    book.num_busy -= 1
    with pytest.raises(AssertionError, match="miscounted"):
        book.check_integrity()


class CellBookMachine(RuleBasedStateMachine):
    """The model: each slot has a list of cells, and a cell is whatever `count` gives."""

    def __init__(self) -> None:
        super().__init__()
        self.book = CellBook(NUM_CELLS, NUM_SLOTS, CONTEXT)
        self.held: list[list[int]] = [[] for _ in range(NUM_SLOTS)]
        self.busy = [False] * NUM_SLOTS
        self.new_cells = count()

    @property
    def num_free(self) -> int:
        return NUM_CELLS - len(set().union(*self.held))

    def room(self, slot: int) -> int:
        return min(self.num_free, CONTEXT - len(self.held[slot]))

    @precondition(lambda self: any(self.busy))
    @rule(data=st.data())
    def append(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from([s for s in range(NUM_SLOTS) if self.busy[s]]))
        number = data.draw(st.integers(0, self.room(slot)))
        self.book.append(slot, len(self.held[slot]), number)
        self.held[slot] += [next(self.new_cells) for _ in range(number)]

    @rule()
    def append_each(self) -> None:
        slots = [s for s in range(NUM_SLOTS) if self.busy[s] and self.room(s)]
        slots = slots[: self.num_free]
        lengths = [len(self.held[slot]) for slot in slots]
        self.book.append_each(numbers(*slots), numbers(*lengths))
        for slot in slots:
            self.held[slot].append(next(self.new_cells))

    @precondition(lambda self: not all(self.busy))
    @rule(data=st.data())
    def share(self, data: st.DataObject) -> None:
        """As `SlotPool.take` does: the idle slot is emptied, and is busy then."""
        target = data.draw(st.sampled_from([s for s in range(NUM_SLOTS) if not self.busy[s]]))
        source = data.draw(st.sampled_from([s for s in range(NUM_SLOTS) if s != target]))
        number = data.draw(st.integers(0, len(self.held[source])))
        self.book.cut(target, 0, len(self.held[target]), busy=False)
        self.book.share(source, target, number)
        self.held[target] = self.held[source][:number]
        self.busy[target] = True

    @rule(data=st.data(), slot=st.integers(0, NUM_SLOTS - 1))
    def cut(self, data: st.DataObject, slot: int) -> None:
        start = data.draw(st.integers(0, len(self.held[slot])))
        self.book.cut(slot, start, len(self.held[slot]), busy=self.busy[slot])
        self.held[slot] = self.held[slot][:start]

    @rule(slot=st.integers(0, NUM_SLOTS - 1))
    def turn(self, slot: int) -> None:
        """An idle slot gets a sequence that goes on with all it holds; a busy one loses its."""
        self.busy[slot] = not self.busy[slot]
        self.book.set_busy(slot, len(self.held[slot]), self.busy[slot])

    @invariant()
    def the_counts_are_the_models(self) -> None:
        busy = [set(cells) for cells, is_busy in zip(self.held, self.busy, strict=True) if is_busy]
        assert self.book.num_free == self.num_free
        assert self.book.num_busy == len(set().union(*busy))
        self.book.check_integrity()


TestCellBookMachine = CellBookMachine.TestCase
TestCellBookMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
