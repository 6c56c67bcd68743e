"""`CellBook`: which slot owns which cells of the KV cache, exactly.

A cell holds the keys and values of one token, and may have several owners: slots whose sequences
begin alike share the cells of their common prefix where the layout allows it. llama.cpp keeps the
same books in C++ and refuses a batch that does not fit; these here know before it is tried.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int32]


class CellBook:
    """`num_cells` cells for slots of at most `context_size` tokens each.

    The numbers of the cells are the book's own: where llama.cpp puts a token does not matter, only
    how many of its cells are taken. *Busy* cells belong to at least one slot that is marked busy.
    """

    def __init__(self, num_cells: int, num_slots: int, context_size: int) -> None:
        self.num_cells = num_cells
        self.num_free = num_cells
        self.num_busy = 0
        self._free = np.arange(num_cells, dtype=np.int32)  # the first `num_free` are a stack
        self._cells = np.zeros((num_slots, context_size), np.int32)
        self._owners = np.zeros(num_cells, np.int16)
        self._busy_owners = np.zeros(num_cells, np.int16)

    def append(self, slot: int, start: int, count: int) -> None:
        """New cells for positions from `start` on; the slot is busy."""
        self._cells[slot, start : start + count] = self._take(count)

    def append_each(self, slots: Indices, positions: Indices) -> None:
        """One new cell for each of these busy slots."""
        self._cells[slots, positions] = self._take(len(slots))

    def share(self, source: int, target: int, count: int) -> None:
        """Make the busy slot `target`, which owns nothing, an owner of the source's first cells."""
        cells = self._cells[source, :count]
        self._cells[target, :count] = cells
        self._owners[cells] += 1
        self._add_busy(cells)

    def cut(self, slot: int, start: int, end: int, *, busy: bool) -> None:
        """Give up the cells of positions `start` to `end`."""
        cells = self._cells[slot, start:end]
        if busy:
            self._remove_busy(cells)
        self._owners[cells] -= 1
        freed = cells[self._owners[cells] == 0]
        self._free[self.num_free : self.num_free + len(freed)] = freed
        self.num_free += len(freed)

    def set_busy(self, slot: int, length: int, busy: bool) -> None:
        """The slot, which owns `length` cells, has got or lost its sequence."""
        cells = self._cells[slot, :length]
        if busy:
            self._add_busy(cells)
        else:
            self._remove_busy(cells)

    def check_integrity(self) -> None:
        """The books agree with each other."""
        assert self.num_free == int((self._owners == 0).sum()), "a cell is lost"
        assert self.num_busy == int((self._busy_owners > 0).sum()), "busy cells are miscounted"
        assert (self._busy_owners <= self._owners).all(), "a cell is busy without an owner"
        assert len(set(self._free[: self.num_free].tolist())) == self.num_free

    def _take(self, count: int) -> Indices:
        assert count <= self.num_free, "no free cell"
        self.num_free -= count
        self.num_busy += count
        cells = self._free[self.num_free : self.num_free + count].copy()
        self._owners[cells] = 1
        self._busy_owners[cells] = 1
        return cells

    def _add_busy(self, cells: Indices) -> None:
        self.num_busy += int((self._busy_owners[cells] == 0).sum())
        self._busy_owners[cells] += 1

    def _remove_busy(self, cells: Indices) -> None:
        self._busy_owners[cells] -= 1
        self.num_busy -= int((self._busy_owners[cells] == 0).sum())
