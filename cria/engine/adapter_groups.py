"""`AdapterGroups`: the running sequences by their adapters, and whose turn it is.

llama.cpp computes a batch with one set of adapters, and another set for the next one makes it plan
anew. So the sequences of one set are computed together for some steps, then those of the set that
has waited for longest. Everybody's turn comes: each of G groups gets its steps out of G times as
many. A single group has all of them, and costs nothing.

Knows no clock, no socket and no llama.cpp.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from cria.adapter_set import BASE, AdapterSet
from cria.engine.decoding import DecodingSet
from cria.engine.scheduled import ScheduledBatch
from cria.engine.sequence import Sequence

STEPS = 8
"""That a group gets when others wait, unless it has nothing left to do before."""


class AdapterGroups:
    """`add` when a sequence gets a slot, `remove` when it gives it back."""

    def __init__(self, vocab_size: int, end_of_generation: Collection[int]) -> None:
        """The arguments are those of `DecodingSet`."""
        self._vocab_size = vocab_size
        self._end_of_generation = end_of_generation
        self._decoding: dict[AdapterSet, DecodingSet] = {}
        self._sizes: dict[AdapterSet, int] = {}
        """Running sequences of each group, in the order in which it is their turn."""
        self.adapters = BASE
        """Those of the group whose turn it is."""
        self.current = DecodingSet(vocab_size, end_of_generation)
        """Its sequences that decode."""
        self._steps_left = STEPS

    @property
    def is_empty(self) -> bool:
        """The group whose turn it is has nothing to do."""
        return self.adapters not in self._sizes

    @property
    def num_decoding(self) -> int:
        """Of all groups."""
        return sum(map(len, self._decoding.values()))

    @property
    def sequences(self) -> Iterator[Sequence]:
        """All that decode, of all groups."""
        for decoding in self._decoding.values():
            yield from decoding.sequences

    def num_ahead(self, limit: int) -> int:
        """As `DecodingSet.num_ahead`, of all groups."""
        return sum(decoding.num_ahead(limit) for decoding in self._decoding.values())

    def of(self, sequence: Sequence) -> DecodingSet:
        """Where a running sequence decodes, or will."""
        return self._decoding[sequence.adapters]

    def of_batch(self, batch: ScheduledBatch) -> list[Sequence]:
        """All sequences of a batch of the group whose turn it is."""
        decodes = [self.current[slot] for slot in batch.decodes.tolist()]
        return [*decodes, *(work.sequence for work in batch.prefills)]

    def mine(self, sequences: list[Sequence]) -> Iterable[Sequence]:
        """Those of the group whose turn it is."""
        if len(self._sizes) < 2:
            return sequences
        return [sequence for sequence in sequences if sequence.adapters == self.adapters]

    def add(self, sequence: Sequence) -> None:
        """It has got a slot."""
        adapters = sequence.adapters
        if adapters not in self._sizes:
            is_mine = adapters == self.adapters
            fresh = DecodingSet(self._vocab_size, self._end_of_generation)
            self._decoding[adapters] = self.current if is_mine else fresh
            self._sizes[adapters] = 0
        self._sizes[adapters] += 1

    def remove(self, sequence: Sequence) -> None:
        """It has left its slot, and its `DecodingSet`."""
        adapters = sequence.adapters
        self._sizes[adapters] -= 1
        if not self._sizes[adapters]:
            del self._sizes[adapters], self._decoding[adapters]

    def next_step(self) -> None:
        """A step is about to be chosen: the next group's turn may have come."""
        if len(self._sizes) < 2 and not self.is_empty:
            self._steps_left = STEPS
            return
        self._steps_left -= 1
        if self._steps_left < 0 or self.is_empty:
            self.next_turn()

    def next_turn(self) -> None:
        """The group that has waited for longest; the present one is the last in line."""
        if not self.is_empty:
            self._sizes[self.adapters] = self._sizes.pop(self.adapters)
        if self._sizes:
            self.adapters = next(iter(self._sizes))
            self.current = self._decoding[self.adapters]
            self._steps_left = STEPS - 1
