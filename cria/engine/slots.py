"""`SlotPool`: the native sequence ids, and what each of them holds in the KV cache.

A slot outlives its sequences: what one has computed stays, until the slot or its cells are needed
for another one, and is the *prefix cache*: a prompt that begins like the contents of any slot,
idle or busy, takes that part over instead of computing it again, if it was computed with the same
adapters. What an idle slot holds can be
evicted at any time, the slot that has been unused for longest first, from its end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cria.adapter_set import BASE, AdapterSet
from cria.engine.cells import CellBook

Tokens = npt.NDArray[np.int32]

EVICTED_AT_ONCE = 64
"""Cells at least: cutting a slot takes the same time for one cell as for many."""


class Prefix(NamedTuple):
    """What a slot holds from now on: the first `length` tokens of `source`, often itself."""

    slot: int
    source: int
    length: int


class Capacity(NamedTuple):
    """The sizes of the cache, in tokens but for the first."""

    num_slots: int
    context_size: int
    """Of one sequence."""
    num_cells: int
    """For all sequences together."""


class SlotPool:
    """`tokens[slot, :lengths[slot]]` are the tokens whose cells a slot holds.

    `min_shared` is the number of tokens from which taking a prefix over from another slot pays;
    0 where the model's cache cannot be cut and prefixes cannot be shared at all. With
    `shares_cells`, a prefix that is taken over has two owners then; without, it is a copy.
    """

    def __init__(
        self, capacity: Capacity, *, min_shared: int = 1, shares_cells: bool = True
    ) -> None:
        num_slots, self.context_size, num_cells = capacity
        self.min_shared = min_shared
        self.tokens = np.empty((num_slots, self.context_size), np.int32)
        self.lengths = np.zeros(num_slots, np.int32)
        self.adapters = [BASE] * num_slots
        """With which each slot's contents were computed."""
        self.is_busy = np.zeros(num_slots, bool)
        self.cells = CellBook(num_cells, num_slots, self.context_size)
        self._shares_cells = shares_cells
        self._last_use = np.zeros(num_slots, np.int64)
        self._uses = 0

    @property
    def has_free(self) -> bool:
        return not self.is_busy.all()

    @property
    def num_cached_cells(self) -> int:
        """Cells that idle slots alone hold."""
        return self.cells.num_cells - self.cells.num_free - self.cells.num_busy

    def match(self, prompt: Tokens, adapters: AdapterSet = BASE) -> Prefix:
        """A free slot, and the longest useful prefix of `prompt` for it; ask `has_free` first.

        At least the prompt's last token is left to compute: its logits are not in the cache.
        """
        source, length = self.longest_match(prompt[:-1], adapters)
        slot = self._choose(source, length)
        if source != slot and length < self.min_shared:
            source, length = slot, 0
        return Prefix(slot, source, length)

    def longest_match(self, prompt: Tokens, adapters: AdapterSet = BASE) -> tuple[int, int]:
        """The slot and the length; of several alike an idle one, of these the first."""
        if not self.min_shared or not len(prompt):
            return 0, 0
        candidates = np.flatnonzero((self.lengths > 0) & (self.tokens[:, 0] == prompt[0]))
        matches = [
            (common_length(self.tokens[slot, : self.lengths[slot]], prompt), int(slot))
            for slot in candidates
            if self.adapters[slot] == adapters
        ]
        length, slot = max(
            matches, key=lambda match: (match[0], not self.is_busy[match[1]]), default=(0, 0)
        )
        return slot, length

    def num_needed(self, prefix: Prefix, num_tokens: int) -> int:
        """How many cells more would be busy if a prompt of `num_tokens` started with `prefix`."""
        is_shared = self._shares_cells and self.is_busy[prefix.source]
        return num_tokens - prefix.length if is_shared else num_tokens

    def take(self, prefix: Prefix, adapters: AdapterSet = BASE) -> None:
        """Give the slot to a sequence that starts with `prefix`, a result of `match`."""
        slot, source, length = prefix
        assert not self.is_busy[slot], "the slot is not free"
        assert not length or self.adapters[source] == adapters, "computed with other adapters"
        self.adapters[slot] = adapters
        self.cut(slot, length if slot == source else 0)
        self.is_busy[slot] = True
        if slot == source:
            self.cells.set_busy(slot, length, True)
            return
        self.tokens[slot, :length] = self.tokens[source, :length]
        self.lengths[slot] = length
        if self._shares_cells:
            self.cells.share(source, slot, length)
        else:
            self.cells.append(slot, 0, length)

    def hold(self, slot: int, tokens: Tokens) -> None:
        """Note that the cells of these tokens, which follow the slot's others, are computed."""
        start = int(self.lengths[slot])
        self.cells.append(slot, start, len(tokens))
        self.tokens[slot, start : start + len(tokens)] = tokens
        self.lengths[slot] = start + len(tokens)

    def hold_each(self, slots: npt.NDArray[np.int32], tokens: Tokens) -> None:
        """The same for one token in each of these slots."""
        positions = self.lengths[slots]
        self.cells.append_each(slots, positions)
        self.tokens[slots, positions] = tokens
        self.lengths[slots] = positions + 1

    def give_back(self, slot: int, *, keep: bool = True) -> None:
        """The sequence has ended; what it computed stays, unless its cells are lost."""
        assert self.is_busy[slot], "the slot is free already"
        self.is_busy[slot] = False
        self.cells.set_busy(slot, int(self.lengths[slot]), False)
        self._uses += 1
        self._last_use[slot] = self._uses
        if not keep:
            self.cut(slot, 0)

    def cut(self, slot: int, length: int) -> None:
        """An idle slot holds no more than this from now on."""
        self.cells.cut(slot, length, int(self.lengths[slot]), busy=False)
        self.lengths[slot] = length

    def evict(self, num_cells: int) -> list[Prefix]:
        """Cut idle slots until so many cells are free or nothing is left; what became of which."""
        cuts = []
        while self.cells.num_free < num_cells:
            victim = self._oldest_with_contents()
            if victim is None:
                break
            self.cut(victim, self._length_without(victim, num_cells - self.cells.num_free))
            cuts.append(Prefix(victim, victim, int(self.lengths[victim])))
        return cuts

    def check_integrity(self) -> None:
        """The books agree with each other."""
        self.cells.check_integrity()
        assert (0 <= self.lengths).all() and (self.lengths <= self.context_size).all()

    def _length_without(self, slot: int, num_cells: int) -> int:
        """What is left of an idle slot if so many cells are taken from its end."""
        if not self.min_shared:
            return 0  # a model whose cache cannot be cut
        return max(0, int(self.lengths[slot]) - max(num_cells, EVICTED_AT_ONCE))

    def _oldest_with_contents(self) -> int | None:
        slots = np.flatnonzero(~self.is_busy & (self.lengths > 0))
        if not len(slots):
            return None
        return int(slots[self._last_use[slots].argmin()])

    def _choose(self, source: int, length: int) -> int:
        """The source itself if little of it would be lost, else the one unused for longest."""
        if not self.is_busy[source] and 2 * length >= self.lengths[source] > 0:
            return source
        free = ~self.is_busy
        if not self._shares_cells:
            free = self._neighbours(free)
        slots = np.flatnonzero(free)
        return int(slots[self._last_use[slots].argmin()])

    def _neighbours(self, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Those that make no hole between the busy ones: where each has a part of the cache, a
        step computes something for every slot from the lowest busy one to the highest.
        """
        busy = np.flatnonzero(~free)
        if not len(busy):
            return free
        near = free.copy()
        near[: max(0, busy[0] - 1)] = False
        near[busy[-1] + 2 :] = False
        return near


def common_length(one: Tokens, other: Tokens) -> int:
    """How many tokens at the beginning are the same."""
    size = min(len(one), len(other))
    if not size or one[0] != other[0]:
        return 0
    different = one[:size] != other[:size]
    first = int(different.argmax())
    return first if different[first] else size
