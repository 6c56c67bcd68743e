"""`DecodingSet`: the sequences that get one token in every step, in arrays indexed by slot.

At 64 sequences, a Python object for each token of each step would cost more time than llama.cpp
leaves between two steps; so what every token changes is changed for all sequences at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cria.engine.sequence import Sequence

Tokens = npt.NDArray[np.int32]


class Advance(NamedTuple):
    """What one step made of the decoding sequences."""

    request_ids: list[int]
    token_ids: list[int]
    """Of those that go on."""
    ended: list[tuple[Sequence, int]]
    """Those whose token was the last one."""


class DecodingSet:
    """At most one sequence for each of `num_slots` slots."""

    def __init__(self, num_slots: int, end_of_generation: Collection[int]) -> None:
        self._sequences: dict[int, Sequence] = {}
        self._last_token = np.zeros(num_slots, np.int32)
        self._num_generated = np.zeros(num_slots, np.int32)
        self._num_remaining = np.zeros(num_slots, np.int64)
        # Longer by one than the highest id: the entry for all others, -1 included.
        self._is_end = np.zeros(max(end_of_generation, default=-1) + 2, bool)
        self._is_end[list(end_of_generation)] = True
        self._rebuild()

    def __len__(self) -> int:
        return len(self._sequences)

    def __getitem__(self, slot: int) -> Sequence:
        return self._sequences[slot]

    @property
    def slots(self) -> Tokens:
        """Rising."""
        return self._slots

    @property
    def sequences(self) -> Iterable[Sequence]:
        return self._sequences.values()

    @property
    def last_tokens(self) -> Tokens:
        """What was chosen last for each of `slots`, and is to be computed next."""
        return self._last_token[self._slots]

    def is_end(self, token: int) -> bool:
        """Whether the token ends a generation."""
        return 0 <= token < len(self._is_end) and bool(self._is_end[token])

    def num_ahead(self, limit: int) -> int:
        """Tokens that are still to come, at most `limit` counted for each sequence."""
        return int(np.minimum(self._num_remaining[self._slots], limit).sum())

    def add(self, sequence: Sequence, token: int, num_remaining: int) -> None:
        """The sequence, whose last token this is, may get so many more."""
        slot = sequence.slot
        self._sequences[slot] = sequence
        self._last_token[slot] = token
        self._num_generated[slot] = sequence.num_generated_tokens
        self._num_remaining[slot] = num_remaining
        self._rebuild()

    def remove(self, sequence: Sequence) -> int:
        """Let go of the sequence, which then knows what it has generated; its last token."""
        slot = sequence.slot
        del self._sequences[slot]
        sequence.num_generated_tokens = int(self._num_generated[slot])
        self._rebuild()
        return int(self._last_token[slot])

    def advance(self, tokens: Tokens) -> Advance:
        """Each of `slots` has got a token; -1 where none could be chosen."""
        slots, ids = self._slots, self._request_ids
        self._last_token[slots] = tokens
        self._num_generated[slots] += 1
        self._num_remaining[slots] -= 1
        known = np.minimum(tokens, len(self._is_end) - 1)
        over = self._is_end[known] | (tokens < 0) | (self._num_remaining[slots] <= 0)
        if not over.any():
            return Advance(list(ids), tokens.tolist(), [])
        going = np.flatnonzero(~over)
        ended = [
            (self._sequences[int(slots[row])], int(tokens[row])) for row in np.flatnonzero(over)
        ]
        return Advance([ids[row] for row in going], tokens[going].tolist(), ended)

    def _rebuild(self) -> None:
        slots = sorted(self._sequences)
        self._slots = np.array(slots, np.int32)
        self._request_ids = [self._sequences[slot].request_id for slot in slots]
