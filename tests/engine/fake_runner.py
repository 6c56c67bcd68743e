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
    """Keeps the books that llama.cpp keeps: which positions of which slot are in the cache."""

    def __init__(self, num_cells: int, next_token: Callable[[Sequence], int] = count_up) -> None:
        self.num_cells = num_cells
        self.next_token = next_token
        self.cells: dict[int, int] = {}
        self.batches: list[list[tuple[int, int]]] = []
        self.fail_next = False

    def run(self, batch: ScheduledBatch) -> list[int]:
        for slot in batch.freed_slots:
            self.cells.pop(slot, None)
        if self.fail_next:
            self.fail_next = False
            for work in batch.work:
                self.cells.pop(work.sequence.slot, None)
            raise NativeError("told to fail")
        for work in batch.work:
            held = self.cells.get(work.sequence.slot, 0)
            assert held == work.sequence.num_computed_tokens, "positions must not have gaps"
            self.cells[work.sequence.slot] = held + work.num_tokens
        assert sum(self.cells.values()) <= self.num_cells, "the cache is overrun"
        if batch.work:
            self.batches.append([(w.sequence.request_id, w.num_tokens) for w in batch.work])
        return [self.next_token(w.sequence) for w in batch.work if w.samples]
