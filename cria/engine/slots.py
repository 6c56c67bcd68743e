"""`SlotPool`: the native sequence ids, and what each of them holds in the KV cache.

A slot outlives its sequences: what one has computed stays, until the slot is given to another
one, and is the *prefix cache*: a prompt that begins like the contents of any slot, idle or busy,
takes that part over instead of computing it again. Every slot has room for a whole context, so the
cache can neither be overrun nor has anything to be evicted before its slot is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]


class Slot:
    """One native sequence id; `tokens[:length]` are the tokens whose cells it holds."""

    __slots__ = ("id", "is_busy", "last_use", "length", "tokens")

    def __init__(self, slot_id: int, context_size: int) -> None:
        self.id = slot_id
        self.tokens: Tokens = np.empty(context_size, np.int32)
        self.length = 0
        self.is_busy = False
        self.last_use = 0

    def hold(self, tokens: Tokens | list[int]) -> None:
        """Note that the cells of these tokens, which follow the others, are computed."""
        end = self.length + len(tokens)
        self.tokens[self.length : end] = tokens
        self.length = end


class Prefix(NamedTuple):
    """What a sequence starts with: `length` tokens in `slot`, taken over from `source`."""

    slot: int
    source: int
    length: int


class SlotPool:
    """`num_slots` slots, ids 0 upwards, each with room for `context_size` tokens.

    `min_shared` is the number of tokens from which taking a prefix over from another slot pays;
    0 where the model's cache cannot be cut and prefixes cannot be shared at all.
    """

    def __init__(self, num_slots: int, context_size: int, min_shared: int = 1) -> None:
        self.context_size = context_size
        self.min_shared = min_shared
        self._slots = [Slot(slot_id, context_size) for slot_id in range(num_slots)]
        self._num_free = num_slots
        self._uses = 0

    @property
    def has_free(self) -> bool:
        return self._num_free > 0

    @property
    def num_cached_cells(self) -> int:
        """Cells of idle slots."""
        return sum(slot.length for slot in self._slots if not slot.is_busy)

    def __getitem__(self, slot_id: int) -> Slot:
        return self._slots[slot_id]

    def take(self, prompt: Tokens) -> Prefix:
        """A free slot, and the longest useful prefix of `prompt` for it; ask `has_free` first.

        At least the prompt's last token is left to compute: its logits are not in the cache.
        """
        assert self.has_free, "no free slot"
        source, length = self._longest_match(prompt[:-1])
        slot = self._choose(source, length)
        if source is not slot and length < self.min_shared:
            source, length = slot, 0
        slot.tokens[:length] = source.tokens[:length]
        slot.length = length
        slot.is_busy = True
        self._num_free -= 1
        return Prefix(slot.id, source.id, length)

    def give_back(self, slot_id: int, *, keep: bool = True) -> None:
        """The sequence has ended; what it computed stays, unless its cells are lost."""
        slot = self._slots[slot_id]
        assert slot.is_busy, "the slot is free already"
        slot.is_busy = False
        self._num_free += 1
        self._uses += 1
        slot.last_use = self._uses
        if not keep:
            slot.length = 0

    def check_integrity(self) -> None:
        """The books agree with each other."""
        assert self._num_free == sum(1 for _ in self._free()), "a slot is lost"
        assert all(0 <= slot.length <= self.context_size for slot in self._slots)

    def _free(self) -> Iterator[Slot]:
        return (slot for slot in self._slots if not slot.is_busy)

    def _longest_match(self, prompt: Tokens) -> tuple[Slot, int]:
        if not self.min_shared:
            return self._slots[0], 0
        matches = (
            (common_length(slot.tokens[: slot.length], prompt), slot) for slot in self._slots
        )
        length, slot = max(matches, key=lambda match: (match[0], not match[1].is_busy))
        return slot, length

    def _choose(self, source: Slot, length: int) -> Slot:
        """The source itself if little of it would be lost, else the one unused for longest."""
        if not source.is_busy and 2 * length >= source.length > 0:
            return source
        return min(self._free(), key=lambda slot: (slot.last_use, slot.id))


def common_length(one: Tokens, other: Tokens) -> int:
    """How many tokens at the beginning are the same."""
    size = min(len(one), len(other))
    if not size or one[0] != other[0]:
        return 0
    different = one[:size] != other[:size]
    first = int(different.argmax())
    return first if different[first] else size
