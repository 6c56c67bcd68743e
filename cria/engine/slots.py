"""`SlotPool`: which native sequence ids are free, and how many cells of the KV cache.

A sequence reserves all the cells that it may ever need when it enters a slot. The cache can
therefore not be overrun, and no running sequence has to be stopped for another one.
"""

from __future__ import annotations

import heapq


class SlotPool:
    """`num_slots` ids, 0 upwards, over `num_cells` cells."""

    def __init__(self, num_slots: int, num_cells: int) -> None:
        self.num_slots = num_slots
        self.num_cells = num_cells
        self._free = list(range(num_slots))  # a heap: low ids first keeps the cache compact
        self._reserved: dict[int, int] = {}

    @property
    def num_free_cells(self) -> int:
        return self.num_cells - sum(self._reserved.values())

    def can_take(self, num_cells: int) -> bool:
        """There is a free slot, and room for this many cells."""
        return bool(self._free) and num_cells <= self.num_free_cells

    def take(self, num_cells: int) -> int:
        """The lowest free slot, with `num_cells` reserved for it; ask `can_take` first."""
        assert self.can_take(num_cells), "no free slot, or too few cells"
        slot = heapq.heappop(self._free)
        self._reserved[slot] = num_cells
        return slot

    def give_back(self, slot: int) -> None:
        """Free the slot and its cells."""
        del self._reserved[slot]
        heapq.heappush(self._free, slot)

    def check_integrity(self) -> None:
        """Every slot is free or reserved, never both, and the cells add up."""
        taken = set(self._reserved)
        assert taken.isdisjoint(self._free), "a slot is both free and taken"
        assert len(taken) + len(self._free) == self.num_slots, "a slot is lost"
        assert self.num_free_cells >= 0, "more cells reserved than there are"
