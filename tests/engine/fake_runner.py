"""A runner without a library: the next token is a function of the sequence."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np

from cria.adapter_set import AdapterSet
from cria.engine.limits import Limits
from cria.engine.pacing import PrefillPacer
from cria.engine.scheduled import ScheduledBatch, StepLogprobs
from cria.engine.scheduler import Scheduler
from cria.engine.sequence import Sequence
from cria.engine.slots import Capacity, SlotPool, Tokens
from cria.errors import NativeError
from cria.ipc.messages import SequenceOutput, StepOutput
from cria.logprobs import TokenLogprobs

END = 0
"""The fake's end-of-generation token."""

NextToken = Callable[[int, int], int]
"""Of the request id and the number of tokens that the sequence has already."""


def count_up(request_id: int, num_tokens: int) -> int:
    """1, 2, 3, ..."""
    return num_tokens + 1


class FakeRunner:
    """Keeps the books that llama.cpp keeps: which tokens each slot holds, in which cells."""

    def __init__(
        self, num_cells: int, next_token: NextToken = count_up, context_size: int = 32
    ) -> None:
        self.num_cells = num_cells
        self.context_size = context_size
        self.shares_cells = True
        self.next_token = next_token
        self.contents: dict[int, list[int]] = {}
        self.batches: list[list[tuple[int, int]]] = []
        self.events: list[str] = []
        self.fail_next = False
        self.failures: dict[int, str] = {}
        self.adapters: dict[int, AdapterSet] = {}
        """With which each slot's contents were computed."""
        self.turns: list[AdapterSet] = []
        self._cells: dict[int, list[int]] = {}
        self._new_cells = count()
        self._sequences: dict[int, Sequence] = {}  # by slot
        self._generated: dict[int, list[int]] = {}  # by request id
        self._contexts: dict[int, list[int]] = {}  # all that the next token follows, by request id

    def take_failures(self) -> dict[int, str]:
        failures, self.failures = self.failures, {}
        return failures

    def start(self, batch: ScheduledBatch) -> None:
        self.events.append("start")
        for request_id in batch.ended:
            self._generated.pop(request_id, None)
            self._contexts.pop(request_id, None)
        for sequence in batch.admitted:
            self._sequences[sequence.slot] = sequence
            self._generated.setdefault(sequence.request_id, [])
            self._contexts.setdefault(sequence.request_id, sequence.prompt.tolist())
        for slot, source, length in batch.prefixes:
            held = self.contents.get(source, [])
            if length and slot in {sequence.slot for sequence in batch.admitted}:
                assert self.adapters[source] == self._sequences[slot].adapters, "other adapters"
            assert len(held) >= length, "the source holds too little"
            self.contents[slot] = held[:length]
            cells = self._cells.get(source, [])[:length]
            is_copy = slot != source and not self.shares_cells
            self._cells[slot] = [next(self._new_cells) for _ in cells] if is_copy else cells
            if length:
                self.adapters[slot] = self.adapters[source]
        self.turns.append(batch.adapters)
        for slot in [*batch.decodes.tolist(), *(work.sequence.slot for work in batch.prefills)]:
            assert self._sequences[slot].adapters == batch.adapters, "a step is of one set"
            self.adapters[slot] = batch.adapters
        if self.fail_next:
            self.fail_next = False
            raise NativeError("told to fail")

    def finish(self, batch: ScheduledBatch) -> Tokens:
        self.events.append("finish")
        work = [(self._sequences[slot], 1) for slot in batch.decodes.tolist()]
        work += [(prefill.sequence, prefill.num_tokens) for prefill in batch.prefills]
        for slot in batch.decodes.tolist():
            self._append(slot, [self._generated[self._sequences[slot].request_id][-1]])
        for prefill in batch.prefills:
            self._prefill(prefill.sequence, prefill.num_tokens)
        self.batches.append([(sequence.request_id, tokens) for sequence, tokens in work])
        return np.array([self._draw(slot) for slot in batch.sampling_slots], np.int32)

    def logprobs(self, batch: ScheduledBatch) -> StepLogprobs:
        """A chosen token's log probability is minus the token; a prompt's token's likewise."""
        chosen = {}
        for slot in batch.sampling_slots.tolist():
            sequence = self._sequences[slot]
            if sequence.params.logprobs is not None:
                token = self._generated[sequence.request_id][-1]
                chosen[sequence.request_id] = TokenLogprobs(-float(token), [])
        prompt = {
            work.sequence.request_id: [
                TokenLogprobs(-float(work.sequence.prompt[position + 1]), [])
                for position in work.scored_positions
            ]
            for work in batch.prefills
            if work.scored_positions
        }
        return StepLogprobs(chosen, prompt)

    def lose(self, batch: ScheduledBatch) -> None:
        """What a failed step does: the cells of its sequences are gone."""
        slots = [*batch.decodes.tolist(), *(work.sequence.slot for work in batch.prefills)]
        for slot in slots:
            self.contents.pop(slot, None)
            self._cells.pop(slot, None)

    def _prefill(self, sequence: Sequence, num_tokens: int) -> None:
        held = self.contents.setdefault(sequence.slot, [])
        assert len(held) == sequence.num_computed_tokens, "positions must not have gaps"
        prompt = sequence.prompt.tolist()
        assert held == prompt[: len(held)], "the cache holds another prompt"
        self._append(sequence.slot, prompt[len(held) : len(held) + num_tokens])

    def _append(self, slot: int, tokens: list[int]) -> None:
        self.contents[slot] = self.contents.get(slot, []) + tokens
        self._cells[slot] = self._cells.get(slot, []) + [next(self._new_cells) for _ in tokens]
        assert self.num_used_cells() <= self.num_cells, "the cache is overrun"

    def num_used_cells(self) -> int:
        """Cells with at least one owner."""
        return len(set().union(*self._cells.values()))

    def _draw(self, slot: int) -> int:
        sequence = self._sequences[slot]
        generated = self._generated[sequence.request_id]
        context = self._contexts[sequence.request_id]
        assert self.contents[slot] == context, "the cache holds something else"
        token = self.next_token(sequence.request_id, len(generated))
        generated.append(token)
        context.append(token)
        num_kept = sequence.params.num_kept
        if len(context) == self.context_size and num_kept is not None:
            first = min(num_kept, len(context) - 2)
            del context[first : first + (len(context) - first) // 2]
        return token


class Bench:
    """A scheduler and a runner, stepped by hand; prompts beside decodes are cut to 4 tokens."""

    def __init__(
        self,
        num_slots: int = 4,
        context_size: int = 32,
        *,
        min_shared: int = 0,
        num_cells: int | None = None,
        batch_size: int = 16,
        next_token: NextToken = count_up,
    ) -> None:
        cells = num_cells or num_slots * context_size
        self.pool = SlotPool(Capacity(num_slots, context_size, cells), min_shared=min_shared)
        limits = Limits(context_size, batch_size, vocab_size=1000)
        self.scheduler = Scheduler(self.pool, limits, {END}, PrefillPacer(1.0, 4))
        self.runner = FakeRunner(cells, next_token, context_size)

    def copy_prefixes(self) -> None:
        """From now on, as in streams; else cells are shared."""
        self.pool._shares_cells = self.runner.shares_cells = False

    def step(self) -> list[SequenceOutput]:
        """Everything that one step has produced, in the form of single outputs."""
        batch = self.scheduler.schedule()
        if not batch.is_empty:
            self.runner.start(batch)
            self.scheduler.hold(batch)
            tokens = self.runner.finish(batch)
            self.scheduler.advance(batch, tokens, logprobs=self.runner.logprobs(batch))
        return unpack(self.scheduler.take_output())

    def check_integrity(self) -> None:
        """After a step: the books of both sides agree, slot by slot and cell by cell."""
        self.pool.check_integrity()
        for slot, length in enumerate(self.pool.lengths.tolist()):
            held = self.pool.tokens[slot, :length].tolist()
            assert self.runner.contents.get(slot, []) == held, f"slot {slot}"
        used = self.pool.cells.num_cells - self.pool.cells.num_free
        assert used == self.runner.num_used_cells(), "not the cells that llama.cpp counts"

    def run(self) -> dict[int, list[SequenceOutput]]:
        """To the end; the outputs of each request."""
        outputs: dict[int, list[SequenceOutput]] = {}
        while not self.scheduler.is_idle:
            for output in self.step():
                outputs.setdefault(output.request_id, []).append(output)
        return outputs


def unpack(step: StepOutput) -> list[SequenceOutput]:
    """All outputs by request id, those that crossed as flat lists too, which come first."""
    flat = zip(step.request_ids, step.token_ids, strict=True)
    outputs = [SequenceOutput(request_id, (token,)) for request_id, token in flat]
    return sorted([*outputs, *step.outputs], key=lambda output: output.request_id)


def tokens_of(outputs: list[SequenceOutput]) -> list[int]:
    return [token for output in outputs for token in output.token_ids]
