"""A runner without a library: the next token is a function of the sequence."""

from __future__ import annotations

from collections.abc import Callable

from cria.engine.scheduler import ScheduledBatch
from cria.engine.sequence import Sequence
from cria.errors import NativeError

END = 0
"""The fake's end-of-generation token."""


def count_up(sequence: Sequence) -> int:
    """1, 2, 3, ..."""
    return sequence.num_generated_tokens + 1


class FakeRunner:
    """Keeps the books that llama.cpp keeps: which tokens each slot holds, in which order."""

    def __init__(self, context_size: int, next_token: Callable[[Sequence], int] = count_up) -> None:
        self.context_size = context_size
        self.next_token = next_token
        self.contents: dict[int, list[int]] = {}
        self.batches: list[list[tuple[int, int]]] = []
        self.fail_next = False

    def run(self, batch: ScheduledBatch) -> list[int]:
        for slot, source, length in batch.prefixes:
            held = self.contents.get(source, [])
            assert len(held) >= length, "the source holds too little"
            self.contents[slot] = held[:length]
        if self.fail_next:
            self.fail_next = False
            self.lose(batch)
            raise NativeError("told to fail")
        for sequence, num_tokens, _ in batch.work:
            self._compute(sequence, num_tokens)
        if batch.work:
            self.batches.append([(w.sequence.request_id, w.num_tokens) for w in batch.work])
        return [self.next_token(w.sequence) for w in batch.work if w.samples]

    def lose(self, batch: ScheduledBatch) -> None:
        """What a failed step does: the cells of its sequences are gone."""
        for work in batch.work:
            self.contents.pop(work.sequence.slot, None)

    def _compute(self, sequence: Sequence, num_tokens: int) -> None:
        held = self.contents.setdefault(sequence.slot, [])
        assert len(held) == sequence.num_computed_tokens, "positions must not have gaps"
        prompt = sequence.prompt.tolist()
        assert held[: len(prompt)] == prompt[: len(held)], "the cache holds another prompt"
        held += prompt[len(held) : len(held) + num_tokens] or [sequence.last_token]
        assert len(held) <= self.context_size, "the cache is overrun"
