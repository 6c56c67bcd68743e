"""`DecodingSet`: the sequences that get one token in every step.

At 64 sequences, a Python object for each token of each step would cost more time than llama.cpp
leaves between two steps. So tokens stay in an array, counts follow from the number of steps, and
nothing is done for a sequence that just goes on.
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


class _Member(NamedTuple):
    sequence: Sequence
    first_step: int
    last_step: int
    """In which its last token comes, if none before ends it."""


class DecodingSet:
    """At most one sequence for each slot; tokens are ids below `vocab_size`."""

    def __init__(self, vocab_size: int, end_of_generation: Collection[int]) -> None:
        self._members: dict[int, _Member] = {}
        self._last_tokens: dict[int, int] = {}  # by slot, as of the last change of members
        # The entries behind the vocabulary's are those that -1, -2 and -3 find.
        self._is_over = np.zeros(vocab_size + 3, bool)
        self._is_over[[*end_of_generation]] = self._is_over[vocab_size:] = True
        self._step = 0
        self._rebuild()

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, slot: int) -> Sequence:
        return self._members[slot].sequence

    @property
    def slots(self) -> Tokens:
        """Rising; the same array as long as the members are the same."""
        return self._slots

    @property
    def sequences(self) -> Iterable[Sequence]:
        return (member.sequence for member in self._members.values())

    @property
    def last_tokens(self) -> Tokens:
        """What was chosen last for each of `slots`, and is to be computed next."""
        return self._tokens

    def is_end(self, token: int) -> bool:
        """Whether the token ends a generation."""
        return token >= 0 and bool(self._is_over[token])

    def num_ahead(self, limit: int) -> int:
        """Tokens that are still to come, at most `limit` counted for each sequence."""
        return sum(min(m.last_step - self._step, limit) for m in self._members.values())

    def add(self, sequence: Sequence, token: int, num_remaining: int) -> None:
        """The sequence, whose last token this is, may get so many more."""
        self._keep_tokens()
        self._last_tokens[sequence.slot] = token
        self._members[sequence.slot] = _Member(sequence, self._step, self._step + num_remaining)
        self._rebuild()

    def remove(self, sequence: Sequence) -> int:
        """Let go of the sequence, which then knows what it has generated; its last token."""
        self._keep_tokens()
        member = self._members.pop(sequence.slot)
        sequence.num_generated_tokens += self._step - member.first_step
        self._rebuild()
        return self._last_tokens.pop(sequence.slot)

    def advance(self, tokens: Tokens) -> Advance:
        """Each of `slots` has got a token; less than 0 where none could be chosen."""
        self._step += 1
        self._tokens = tokens.copy()  # the runner's array is overwritten by its next step
        is_over = self._is_over[tokens]
        is_going_on = self._step < self._next_limit and not is_over.any()
        if is_going_on and not any(sequence.is_complete for sequence in self._constrained):
            return Advance(self._request_ids, tokens.tolist(), [])
        going, ended = Advance([], [], []), []
        for slot, token, over in zip(
            self._slots.tolist(), tokens.tolist(), is_over.tolist(), strict=True
        ):
            member = self._members[slot]
            if over or self._step >= member.last_step or member.sequence.is_complete:
                ended.append((member.sequence, token))
            else:
                going.request_ids.append(member.sequence.request_id)
                going.token_ids.append(token)
        return going._replace(ended=ended)

    def _keep_tokens(self) -> None:
        self._last_tokens = dict(zip(self._slots.tolist(), self._tokens.tolist(), strict=True))

    def _rebuild(self) -> None:
        slots = sorted(self._members)
        self._slots = np.array(slots, np.int32)
        self._tokens = np.array([self._last_tokens[slot] for slot in slots], np.int32)
        self._request_ids = [self._members[slot].sequence.request_id for slot in slots]
        self._constrained = [
            m.sequence for m in self._members.values() if m.sequence.matcher is not None
        ]
        self._next_limit = min((m.last_step for m in self._members.values()), default=0)
