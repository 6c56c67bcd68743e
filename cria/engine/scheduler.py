"""`Scheduler`: which sequences, and how many tokens of each, go into the next step.

Decodes first: every decoding sequence gets its token. What is left of the token budget goes to
prompts, first come first served, in chunks; beside running decodes the chunks are small, so that
a long prompt does not hold up the streams. A prompt that begins like one that is being computed
waits for it, and takes the common part over. Knows no clock, no socket and no llama.cpp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import NamedTuple

from cria.engine.sequence import Sequence, SequenceEvent, SequenceStatus
from cria.engine.slots import Prefix, SlotPool, common_length
from cria.ipc.messages import Cancel, EngineStats, FinishReason, SequenceOutput, Submit


class Work(NamedTuple):
    """`num_tokens` tokens of one sequence, from `sequence.num_computed_tokens` on."""

    sequence: Sequence
    num_tokens: int
    samples: bool
    """The last of them gets a row of logits, from which the next token is chosen."""


class ScheduledBatch(NamedTuple):
    """What the runner has to do in one step."""

    prefixes: list[Prefix]
    """What admitted sequences start with, in order; to be done before anything is computed."""
    work: list[Work]


class Limits(NamedTuple):
    """What fits; all in tokens."""

    context_size: int
    """Of one sequence."""
    batch_size: int
    """Of one step."""
    prefill_chunk: int
    """Of prompts in a step that also decodes."""


class Scheduler:
    """The sequences of one engine: `submit` and `cancel`, then `schedule` and `advance` in turns.

    `take_outputs` returns what has happened since the last call; exactly one output of each
    sequence has a finish reason.
    """

    def __init__(self, pool: SlotPool, limits: Limits, end_of_generation: Collection[int]) -> None:
        self.pool = pool
        self.limits = limits
        self._end_of_generation = frozenset(end_of_generation)
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []  # in order of arrival
        self._by_id: dict[int, Sequence] = {}
        self._prefixes: list[Prefix] = []
        self._outputs: list[SequenceOutput] = []
        self._steps = self._prefill_tokens = self._decode_tokens = self._decode_steps = 0
        self._cached_tokens = 0

    @property
    def is_idle(self) -> bool:
        """Nothing to compute and nothing to tell."""
        return not (self._waiting or self._running or self._outputs)

    def submit(self, message: Submit) -> None:
        """Queue a sequence, or refuse one that can never fit."""
        sequence = Sequence(message)
        reason = self._why_not(sequence)
        if reason:
            self._outputs.append(_refusal(sequence, reason))
            return
        self._by_id[sequence.request_id] = sequence
        self._waiting.append(sequence)

    def cancel(self, message: Cancel) -> None:
        """End a sequence now, wherever it is; one that has ended already is not an error."""
        sequence = self._by_id.get(message.request_id)
        if sequence is not None:
            self._finish(sequence, FinishReason.CANCELLED)

    def schedule(self) -> ScheduledBatch:
        """Admit what fits, and choose the tokens of the next step."""
        self._admit()
        decodes = [s for s in self._running if s.status is SequenceStatus.DECODE]
        work = [Work(sequence, 1, samples=True) for sequence in decodes]
        budget = self.limits.batch_size - len(work)
        if work:
            budget = min(budget, self.limits.prefill_chunk)
        work += self._prefill_work(budget)
        prefixes, self._prefixes = self._prefixes, []
        return ScheduledBatch(prefixes, work)

    def advance(self, batch: ScheduledBatch, tokens: list[int]) -> None:
        """Record a computed batch; `tokens` are the chosen ones, in the order of sampling work.

        -1 stands for "no token can be chosen": an error of that sequence alone.
        """
        self._count(batch)
        chosen = iter(tokens)
        for work in batch.work:
            self._hold(work)
            if work.samples:
                self._append(work.sequence, next(chosen))

    def fail(self, sequences: Collection[Sequence], reason: str) -> None:
        """End these sequences, whose cells are lost, with an error."""
        for sequence in sequences:
            self._finish(sequence, FinishReason.ERROR, error=reason)

    def take_outputs(self) -> list[SequenceOutput]:
        """What happened since the last call."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def stats(self) -> EngineStats:
        """The counters as they are now."""
        return EngineStats(
            num_running=len(self._running),
            num_waiting=len(self._waiting),
            num_used_cells=sum(s.num_computed_tokens for s in self._running),
            num_cached_cells=self.pool.num_cached_cells,
            steps_total=self._steps,
            prefill_tokens_total=self._prefill_tokens,
            decode_tokens_total=self._decode_tokens,
            decode_steps_total=self._decode_steps,
            cached_tokens_total=self._cached_tokens,
        )

    def _why_not(self, sequence: Sequence) -> str | None:
        size, limit = len(sequence.prompt), self.limits.context_size
        if sequence.request_id in self._by_id:
            return f"request id {sequence.request_id} is in use"
        if not size:
            return "the prompt is empty"
        if size >= limit:
            return f"the prompt has {size} tokens, and a sequence holds {limit}"
        if sequence.params.max_tokens < 1:
            return f"max_tokens is {sequence.params.max_tokens}"
        return None

    def _admit(self) -> None:
        """Fill the slots in order of arrival; only who waits for a leader is overtaken."""
        for sequence in list(self._waiting):
            if not self.pool.has_free:
                return
            if not self._must_wait(sequence):
                self._waiting.remove(sequence)
                self._start(sequence)

    def _must_wait(self, sequence: Sequence) -> bool:
        """A running sequence computes a prefix of this prompt: that is cheaper than doing it twice.

        Everybody waits for one leader at most, which is running, so nobody waits for ever.
        """
        if sequence.leader is None:
            sequence.leader = self._find_leader(sequence) or sequence
        leader = sequence.leader
        return leader.status is SequenceStatus.PREFILL and leader is not sequence

    def _find_leader(self, sequence: Sequence) -> Sequence | None:
        """Who is about to compute most of this prompt, if that is enough to wait for."""
        if not self.pool.min_shared:
            return None
        prefilling = [s for s in self._running if s.status is SequenceStatus.PREFILL]
        gains = [
            (common_length(other.prompt, sequence.prompt) - other.num_computed_tokens, other)
            for other in prefilling
        ]
        gain, leader = max(gains, key=lambda pair: pair[0], default=(0, None))
        return leader if gain >= self.pool.min_shared else None

    def _start(self, sequence: Sequence) -> None:
        prefix = self.pool.take(sequence.prompt)
        sequence.slot = prefix.slot
        sequence.num_computed_tokens = sequence.num_cached_tokens = prefix.length
        sequence.apply(SequenceEvent.ADMITTED)
        self._cached_tokens += prefix.length
        self._prefixes.append(prefix)
        self._running.append(sequence)

    def _hold(self, work: Work) -> None:
        """The tokens of this work are in the cache now."""
        sequence, start = work.sequence, work.sequence.num_computed_tokens
        tokens = sequence.prompt[start : start + work.num_tokens]
        self.pool[sequence.slot].hold(tokens if len(tokens) else [sequence.last_token])
        sequence.num_computed_tokens += work.num_tokens

    def _prefill_work(self, budget: int) -> list[Work]:
        work = []
        for sequence in self._running:
            if sequence.status is SequenceStatus.PREFILL and budget > 0:
                missing = len(sequence.prompt) - sequence.num_computed_tokens
                chunk = min(missing, budget)
                work.append(Work(sequence, chunk, samples=chunk == missing))
                budget -= chunk
        return work

    def _append(self, sequence: Sequence, token: int) -> None:
        """One more token; it may be the last one."""
        if sequence.status is SequenceStatus.PREFILL:
            sequence.apply(SequenceEvent.PROMPT_COMPUTED)
        if token < 0:
            self._finish(sequence, FinishReason.ERROR, error="no token can be chosen")
            return
        sequence.num_generated_tokens += 1
        sequence.last_token = token
        if token in self._end_of_generation:
            self._finish(sequence, FinishReason.STOP)
        elif self._is_at_limit(sequence):
            self._finish(sequence, FinishReason.LENGTH, (token,))
        else:
            cached = _cached_tokens_to_tell(sequence)
            self._outputs.append(
                SequenceOutput(sequence.request_id, (token,), num_cached_tokens=cached)
            )

    def _is_at_limit(self, sequence: Sequence) -> bool:
        return (
            sequence.num_generated_tokens >= sequence.params.max_tokens
            or sequence.num_tokens >= self.limits.context_size
        )

    def _finish(
        self,
        sequence: Sequence,
        reason: FinishReason,
        tokens: tuple[int, ...] = (),
        error: str | None = None,
    ) -> None:
        if sequence.status is SequenceStatus.WAITING:
            self._waiting.remove(sequence)
        else:
            self._running.remove(sequence)
            self.pool.give_back(sequence.slot, keep=reason is not FinishReason.ERROR)
        sequence.finish(reason)
        del self._by_id[sequence.request_id]
        self._outputs.append(
            SequenceOutput(
                sequence.request_id,
                tokens,
                reason,
                sequence.num_generated_tokens,
                error,
                _cached_tokens_to_tell(sequence),
            )
        )

    def _count(self, batch: ScheduledBatch) -> None:
        decodes = sum(w.sequence.status is SequenceStatus.DECODE for w in batch.work)
        self._steps += 1
        self._decode_tokens += decodes
        self._decode_steps += decodes > 0
        self._prefill_tokens += sum(w.num_tokens for w in batch.work) - decodes


def _cached_tokens_to_tell(sequence: Sequence) -> int:
    """Once, with the first token."""
    return sequence.num_cached_tokens if sequence.num_generated_tokens == 1 else 0


def _refusal(sequence: Sequence, reason: str) -> SequenceOutput:
    return SequenceOutput(sequence.request_id, (), FinishReason.ERROR, 0, reason)
