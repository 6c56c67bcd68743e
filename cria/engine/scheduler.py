"""`Scheduler`: which sequences, and how many tokens of each, go into the next step.

Decodes first: every decoding sequence gets its token. What is left of the token budget goes to
prompts in the order of priority and arrival, in chunks; beside running decodes the chunks are as
small as the pacer says, so that a long prompt does not hold up the streams. A prompt that begins
like one that is being computed waits for it, and takes the common part over.

A sequence is admitted when a slot is free and the cells for its prompt are; those that it will
need later are not set aside. When they run out, idle slots are evicted first, then the running
sequence that is last in order is preempted: it waits again, and is computed again. So does one
that shifts its context, without its oldest tokens. A step is of one set of adapters
(`adapter_groups`).

Knows no clock, no socket and no llama.cpp.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from cria.engine.adapter_groups import AdapterGroups
from cria.engine.cache_limit import find_cache_limit
from cria.engine.counters import Counters
from cria.engine.decoding import DecodingSet
from cria.engine.ending import ending_of, why_refused
from cria.engine.leaders import must_wait
from cria.engine.limits import Limits
from cria.engine.outbox import Outbox
from cria.engine.pacing import PrefillPacer
from cria.engine.scheduled import NO_LOGPROBS, Prefill, ScheduledBatch, StepLogprobs
from cria.engine.sequence import Sequence, SequenceEvent, SequenceStatus
from cria.engine.shifting import shift, shifts_at_the_end
from cria.engine.slots import Prefix, SlotPool, Tokens
from cria.engine.waiting import WaitingQueue
from cria.ipc.messages import Cancel, EngineStats, FinishReason, StepOutput, Submit

if TYPE_CHECKING:
    from cria.constraint.matcher import Matcher

CELLS_AHEAD = 64
"""For each running sequence, when another one asks to be admitted: to preempt it soon after would
be a waste."""

_order = attrgetter("order")


class Scheduler:
    """The sequences of one engine: `submit` and `cancel`, then `schedule`, `hold` and `advance`.

    `take_output` returns what has happened since the last call; exactly one output of each
    sequence has a finish reason.
    """

    def __init__(
        self,
        pool: SlotPool,
        limits: Limits,
        end_of_generation: Collection[int],
        pacer: PrefillPacer,
    ) -> None:
        """`end_of_generation` are the tokens that end a sequence."""
        self.pool = pool
        self.limits = limits
        self._pacer = pacer
        self._waiting = WaitingQueue()
        self._prefilling: list[Sequence] = []
        self._groups = AdapterGroups(limits.vocab_size, end_of_generation)
        self._by_id: dict[int, Sequence] = {}
        self._admitted: list[Sequence] = []
        self._prefixes: list[Prefix] = []
        self._ended: list[int] = []
        self._outbox = Outbox()
        self.counters = Counters()
        self._now = 0.0

    @property
    def is_idle(self) -> bool:
        """Nothing to compute and nothing to tell."""
        return not (self._by_id or self._outbox.has_single_output)

    @property
    def has_output(self) -> bool:
        """Something has happened since the last `take_output`."""
        return self._outbox.has_output

    def submit(self, message: Submit, arrival: float = 0.0, matcher: Matcher | None = None) -> None:
        """Queue a sequence, or refuse one that can never fit; `arrival` in seconds of any clock."""
        self._now = max(self._now, arrival)
        sequence = Sequence(message, arrival, matcher)
        is_new = sequence.request_id not in self._by_id
        if reason := why_refused(sequence, self.limits.context_size, is_new=is_new):
            self._outbox.refused(sequence, reason)
            return
        self._by_id[sequence.request_id] = sequence
        self._waiting.add(sequence)

    def refuse(self, message: Submit, error: str, reason: FinishReason) -> None:
        """Answer a sequence that is not to be queued."""
        self._outbox.refused(Sequence(message), error, reason)

    def cancel(self, message: Cancel) -> None:
        """End a sequence now, wherever it is; one that has ended already is not an error."""
        sequence = self._by_id.get(message.request_id)
        if sequence is not None:
            self._finish(sequence, FinishReason.CANCELLED)

    def schedule(self, now: float = 0.0) -> ScheduledBatch:
        """Make room, admit what fits, and choose the tokens of the next step.

        `now` is in seconds of the clock of the arrivals.
        """
        self._now = now
        for sequence in self._waiting.expired(now):
            self._finish(sequence, FinishReason.EXPIRED)
        self._groups.next_step()
        self._make_room_for_decodes()
        self._admit()
        if self._groups.is_empty:
            self._groups.next_turn()
        prefills = self._choose_prefills()
        while not prefills and not self._decoding and (running := self._running()):
            # Each holds a part of the cells, and none can go on: fewer have to share them.
            if not self._groups.is_empty:
                self._preempt(max(running, key=_order))
            if self._groups.is_empty:
                self._groups.next_turn()
                self._make_room_for_decodes()
            prefills = self._choose_prefills()
        batch = ScheduledBatch(
            *(self._ended, self._admitted, self._prefixes, self._decoding.slots, prefills),
            adapters=self._groups.adapters,
        )
        if not batch.is_empty:
            self._ended, self._admitted, self._prefixes = [], [], []
        return batch

    def hold(self, batch: ScheduledBatch) -> None:
        """The batch is being computed: its tokens will be in the cache."""
        self.pool.hold_each(batch.decodes, self._decoding.last_tokens)
        for sequence, num_tokens, _ in batch.prefills:
            start = sequence.num_computed_tokens
            self.pool.hold(sequence.slot, sequence.prompt[start : start + num_tokens])

    def advance(
        self,
        batch: ScheduledBatch,
        tokens: Tokens,
        seconds: float = 0.0,
        now: float = 0.0,
        logprobs: StepLogprobs = NO_LOGPROBS,
        elsewhere: float = 0.0,
    ) -> None:
        """Record a computed batch, which took so long since the step before it, until `now`.

        `elsewhere` is what of these seconds others took, who compute between steps. `tokens` are
        the chosen ones, in the order of `batch.sampling_slots`; -1 stands for "no token can be
        chosen": an error of that sequence alone.
        """
        self._now = now
        num_decodes, num_prompt_tokens = len(batch.decodes), batch.num_prompt_tokens
        self._pacer.observe(num_decodes, num_prompt_tokens, seconds - elsewhere)
        self.counters.count_step(num_decodes, num_prompt_tokens, seconds)
        self._outbox.logprobs = logprobs
        for work in batch.prefills:
            self._note_computed(work)
        self._go_on(tokens[:num_decodes])
        firsts = [work.sequence for work in batch.prefills if work.samples]
        for sequence, token in zip(firsts, tokens[num_decodes:].tolist(), strict=True):
            self._begin_decoding(sequence, token)

    def fail(self, batch: ScheduledBatch, reason: str) -> None:
        """End the sequences of this batch, whose cells are lost, with an error."""
        for sequence in self._groups.of_batch(batch):
            self._finish(sequence, FinishReason.ERROR, error=reason, keep=False)

    def fail_youngest(self, batch: ScheduledBatch, reason: str) -> None:
        """The same for the last in order; the others of the batch are computed again."""
        *others, youngest = sorted(self._groups.of_batch(batch), key=_order)
        self._finish(youngest, FinishReason.ERROR, error=reason, keep=False)
        for sequence in others:
            self._requeue(sequence, SequenceEvent.PREEMPTED, keep=False)
            self.counters.preemptions += 1

    def fail_one(self, request_id: int, reason: str) -> None:
        """End this sequence, whose cells are good, with an error, if it has not ended."""
        if (sequence := self._by_id.get(request_id)) is not None:
            self._finish(sequence, FinishReason.ERROR, error=reason)

    def take_output(self) -> StepOutput:
        """What happened since the last call."""
        return self._outbox.take(self.stats())

    def stats(self) -> EngineStats:
        """The counters as they are now."""
        return self.counters.stats(
            num_running=len(self._prefilling) + self._groups.num_decoding,
            num_waiting=len(self._waiting),
            num_used_cells=self.pool.cells.num_busy,
            num_cached_cells=self.pool.num_cached_cells,
        )

    def uses(self, adapter_id: int) -> bool:
        """Whether a sequence needs the adapter."""
        return any(adapter_id in dict(each.adapters) for each in self._by_id.values())

    @property
    def _decoding(self) -> DecodingSet:
        return self._groups.current

    def _running(self) -> list[Sequence]:
        return [*self._prefilling, *self._groups.sequences]

    def _make_room_for_decodes(self) -> None:
        """Every decoding sequence gets a cell, if need be from the one that is last in order."""
        while not self._make_room(len(self._decoding)):
            self._preempt(max(self._running(), key=_order))

    def _make_room(self, num_cells: int) -> bool:
        """Evict what no running sequence uses until so many cells are free; False if too few."""
        self._prefixes += self.pool.evict(num_cells)
        return self.pool.cells.num_free >= num_cells

    def _admit(self) -> None:
        """Fill the slots in turn; only who waits for a leader is overtaken."""
        for sequence in self._waiting.candidates() if self.pool.has_free else ():
            if not self.pool.has_free:
                return
            if must_wait(sequence, self._prefilling, self.pool.min_shared):
                continue
            if sequence.num_unscored and not self._has_rows_for_another():
                continue
            prefix = self.pool.match(sequence.reusable, sequence.adapters)
            if not self._has_cells_for(sequence, prefix):
                return
            self._waiting.take(sequence)
            self._start(sequence, prefix)

    def _has_rows_for_another(self) -> bool:
        """Those that run leave some of a step's rows; else another would only occupy a slot."""
        wanted = sum(other.num_unscored for other in self._prefilling)
        return wanted < self.limits.num_scored_rows

    def _has_cells_for(self, sequence: Sequence, prefix: Prefix) -> bool:
        """With what those that run already will need soon; who runs alone always fits."""
        if not self._prefilling and not self._groups.num_decoding:
            return True
        soon = sum(other.num_missing_tokens for other in self._prefilling)
        soon += self._groups.num_ahead(CELLS_AHEAD)
        for other in [*self._prefilling, sequence]:
            soon += min(CELLS_AHEAD, other.num_remaining(self.limits.context_size))
        cells = self.pool.cells
        needed = self.pool.num_needed(prefix, len(sequence.prompt))
        return cells.num_busy + soon + needed <= cells.num_cells

    def _start(self, sequence: Sequence, prefix: Prefix) -> None:
        if not sequence.was_admitted:
            sequence.was_admitted, sequence.num_cached_tokens = True, prefix.length
            if sequence.stopwatch is not None:
                limit = find_cache_limit(self.pool, sequence, prefix)
                sequence.stopwatch.admit(self._now, prefix.length, limit)
        self.pool.take(prefix, sequence.adapters)
        self._groups.add(sequence)
        sequence.slot = prefix.slot
        sequence.num_computed_tokens = prefix.length
        sequence.apply(SequenceEvent.ADMITTED)
        sequence.leader = None  # else leaders of leaders would stay in memory
        self.counters.cached_tokens += prefix.length
        self._prefixes.append(prefix)
        self._admitted.append(sequence)
        self._outbox.admitted(sequence)
        insort(self._prefilling, sequence, key=_order)

    def _choose_prefills(self) -> list[Prefill]:
        """Chunks of prompts in order, as far as the budget and the cells reach."""
        num_tokens = num_decodes = len(self._decoding)
        limit = self.limits.batch_size
        if num_decodes:
            limit = min(limit, num_decodes + self._pacer.chunk)
        chosen = []
        rows_left = self.limits.num_scored_rows
        for sequence in self._groups.mine(self._prefilling):
            wanted = min(sequence.num_missing_tokens, limit - num_tokens)
            self._make_room(num_tokens + wanted)
            chunk = min(wanted, self.pool.cells.num_free - num_tokens)
            if chunk <= 0:
                break
            chunk = sequence.fitting_chunk(chunk, rows_left)
            if not chunk:
                continue  # others may have tokens that nobody wants to know the probability of
            is_last = chunk == sequence.num_missing_tokens
            chosen.append(
                Prefill(sequence, chunk, samples=is_last and sequence.params.max_tokens > 0)
            )
            rows_left -= len(chosen[-1].scored_positions)
            num_tokens += chunk
        return chosen

    def _note_computed(self, work: Prefill) -> None:
        """A chunk of a prompt is in the cache; who wants no more than that is at its end."""
        sequence = work.sequence
        sequence.next_scored += len(work.scored_positions)
        sequence.num_computed_tokens += work.num_tokens
        self._outbox.scored(sequence)
        if not (sequence.num_missing_tokens or sequence.params.max_tokens):
            self._finish(sequence, FinishReason.LENGTH)

    def _go_on(self, tokens: Tokens) -> None:
        """The decoding sequences have got these tokens."""
        request_ids, token_ids, ended = self._decoding.advance(tokens)
        self._outbox.went_on(request_ids, token_ids)
        for sequence, token in ended:
            self._end(sequence, token)

    def _begin_decoding(self, sequence: Sequence, token: int) -> None:
        """The prompt is computed, and this is the first token after it."""
        sequence.apply(SequenceEvent.PROMPT_COMPUTED)
        self._prefilling.remove(sequence)
        if sequence.stopwatch is not None:
            sequence.stopwatch.note_token(self._now)
        if sequence.num_generated_tokens:  # it was requeued, and its reader has been waiting
            self.counters.count_pause(self.counters.seconds - sequence.last_token_at)
        sequence.num_generated_tokens += 1
        num_remaining = sequence.num_remaining(self.limits.context_size)
        self._decoding.add(sequence, token, num_remaining)
        is_last = token < 0 or num_remaining <= 0 or self._decoding.is_end(token)
        if is_last or sequence.is_complete:
            self._end(sequence, token)
        else:
            self._outbox.began(sequence, token)

    def _end(self, sequence: Sequence, token: int) -> None:
        """By its last token."""
        ending = ending_of(sequence, token, is_end=self._decoding.is_end(token))
        goes_on = shifts_at_the_end(sequence, self.limits.context_size)
        if ending.reason is FinishReason.LENGTH and goes_on:
            self._shift(sequence, token)
        else:
            self._finish(sequence, *ending)

    def _shift(self, sequence: Sequence, token: int) -> None:
        """This is the last token that its context can hold; go on without the oldest ones."""
        self._requeue(sequence, SequenceEvent.SHIFTED)
        shift(sequence, sequence.prompt)
        self._outbox.began(sequence, token)

    def _preempt(self, sequence: Sequence) -> None:
        """Others need its cells."""
        self._requeue(sequence, SequenceEvent.PREEMPTED)
        self.counters.preemptions += 1

    def _requeue(self, sequence: Sequence, event: SequenceEvent, *, keep: bool = True) -> None:
        """Back to the queue; what it holds may be evicted now, or found again, or is lost.

        Of what is lost, the last token counts as held: the batch that failed was to compute it.
        """
        if sequence.status is SequenceStatus.DECODE:
            last = self._groups.of(sequence).remove(sequence)
            held = self.pool.tokens[sequence.slot, : self.pool.lengths[sequence.slot]]
            sequence.prompt = np.append(held, np.int32(last)) if keep else held.copy()
            sequence.last_token_at = self.counters.seconds
        else:
            self._prefilling.remove(sequence)
        self._groups.remove(sequence)
        self.pool.give_back(sequence.slot, keep=keep)
        sequence.apply(event)
        self._waiting.back(sequence)

    def _finish(
        self,
        sequence: Sequence,
        reason: FinishReason,
        tokens: tuple[int, ...] = (),
        error: str | None = None,
        *,
        keep: bool = True,
    ) -> None:
        """The sequence has had its last output; unless they are lost, others may use its cells."""
        self._leave(sequence, keep=keep)
        sequence.finish(reason)
        del self._by_id[sequence.request_id]
        self._ended.append(sequence.request_id)
        self._outbox.ended(sequence, reason, tokens, error, timings=sequence.timings(self._now))

    def _leave(self, sequence: Sequence, *, keep: bool) -> None:
        """Free what the sequence occupies."""
        if sequence.status is SequenceStatus.WAITING:
            self._waiting.remove(sequence)
            return
        if sequence.status is SequenceStatus.PREFILL:
            self._prefilling.remove(sequence)
        else:
            self._groups.of(sequence).remove(sequence)
        self._groups.remove(sequence)
        self._waiting.left(sequence)
        self.pool.give_back(sequence.slot, keep=keep)
