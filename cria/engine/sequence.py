"""`Sequence`: one generation, from the queue to its last token.

What may happen to a sequence is the table `TRANSITIONS`; anything else is a bug, and raises.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cria.engine.stopwatch import Stopwatch
from cria.ipc.messages import FinishReason, SequenceTimings, Submit

if TYPE_CHECKING:
    from cria.constraint.matcher import Matcher

Tokens = npt.NDArray[np.int32]

AGEING_SECONDS = 10.0
"""Of waiting, for which a level of priority stands."""


class SequenceStatus(enum.Enum):
    WAITING = "waiting"
    """In the queue: no slot, no cells."""
    PREFILL = "prefill"
    """In a slot; part of its prompt is not computed yet."""
    DECODE = "decode"
    """Gets one token a step."""
    FINISHED = "finished"


class SequenceEvent(enum.Enum):
    ADMITTED = "admitted"
    PROMPT_COMPUTED = "prompt computed"
    PREEMPTED = "preempted"
    """Others need its cells: back to the queue, with what it has generated."""
    SHIFTED = "shifted"
    """Its context is full: back to the queue, without its oldest tokens."""
    ENDED = "ended"
    """For any FinishReason."""


TRANSITIONS: dict[tuple[SequenceStatus, SequenceEvent], SequenceStatus] = {
    (SequenceStatus.WAITING, SequenceEvent.ADMITTED): SequenceStatus.PREFILL,
    (SequenceStatus.WAITING, SequenceEvent.ENDED): SequenceStatus.FINISHED,
    (SequenceStatus.PREFILL, SequenceEvent.PROMPT_COMPUTED): SequenceStatus.DECODE,
    (SequenceStatus.PREFILL, SequenceEvent.PREEMPTED): SequenceStatus.WAITING,
    (SequenceStatus.PREFILL, SequenceEvent.ENDED): SequenceStatus.FINISHED,
    (SequenceStatus.DECODE, SequenceEvent.PREEMPTED): SequenceStatus.WAITING,
    (SequenceStatus.DECODE, SequenceEvent.SHIFTED): SequenceStatus.WAITING,
    (SequenceStatus.DECODE, SequenceEvent.ENDED): SequenceStatus.FINISHED,
}


class IllegalTransition(Exception):
    """An event that cannot happen in the sequence's status."""


class Sequence:
    """A prompt and what is generated after it; all counts are in tokens."""

    __slots__ = (
        "adapters",
        "expires",
        "finish_reason",
        "last_token_at",
        "leader",
        "matcher",
        "next_scored",
        "num_cached_tokens",
        "num_computed_tokens",
        "num_dropped_tokens",
        "num_generated_tokens",
        "num_original_tokens",
        "num_shifts",
        "order",
        "params",
        "prompt",
        "request_id",
        "slot",
        "status",
        "stopwatch",
        "tenant",
        "was_admitted",
    )

    def __init__(
        self, submit: Submit, arrival: float = 0.0, matcher: Matcher | None = None
    ) -> None:
        self.request_id = submit.request_id
        self.prompt = np.array(submit.token_ids, np.int32)
        """What is to be computed before the next token can be chosen; that of a preempted or a
        shifted sequence holds what it has generated too."""
        self.num_original_tokens = len(self.prompt)
        self.params = submit.sampling_params
        self.matcher = matcher
        """What its tokens have to match, and how far they do."""
        self.order = (arrival + submit.priority * AGEING_SECONDS, submit.request_id)
        """Smaller is sooner. Everybody's turn comes: whoever arrives late enough is behind."""
        self.tenant = submit.tenant
        self.adapters = submit.adapters
        self.expires = None if submit.max_wait is None else arrival + submit.max_wait
        """When it will have waited too long for its beginning."""
        self.status = SequenceStatus.WAITING
        self.slot = -1
        self.num_computed_tokens = 0
        """Tokens of the prompt whose keys and values are in the cache."""
        self.num_cached_tokens = 0
        """Those of them that were there when it was first admitted."""
        self.was_admitted = False
        self.leader: Sequence | None = None
        """A running sequence that is about to compute a prefix of this one's prompt."""
        wanted = self.params.prompt_logprobs_from
        self.next_scored = self.num_original_tokens if wanted is None else max(wanted, 1)
        """The first token of the prompt whose log probability is wanted and not known yet; the row
        of logits before it must be computed, so a prefix from the cache ends there."""
        self.num_generated_tokens = 0
        """While it decodes, the scheduler counts in its stead."""
        self.num_dropped_tokens = self.num_shifts = 0
        """By context shifts."""
        self.last_token_at = 0.0
        """When it was preempted or shifted, in the seconds of the counters."""
        timed = self.params.timings
        self.stopwatch = Stopwatch(arrival, self.num_original_tokens) if timed else None
        self.finish_reason: FinishReason | None = None

    def __repr__(self) -> str:
        return f"<Sequence {self.request_id} {self.status.value} slot={self.slot}>"

    @property
    def is_complete(self) -> bool:
        """Nothing can follow what it has generated: its grammar is at an end."""
        return self.matcher is not None and self.matcher.is_over

    @property
    def num_missing_tokens(self) -> int:
        """Tokens of the prompt that are not computed yet."""
        return len(self.prompt) - self.num_computed_tokens

    @property
    def num_unscored(self) -> int:
        """Tokens of the prompt whose log probability is wanted and not known yet."""
        return max(0, self.num_original_tokens - self.next_scored)

    @property
    def reusable(self) -> Tokens:
        """The part of the prompt of which all but the last token may come from the cache."""
        if self.next_scored >= self.num_original_tokens:
            return self.prompt
        return self.prompt[: self.next_scored]

    def num_remaining(self, context_size: int) -> int:
        """Tokens that it may still get when all of its prompt is computed."""
        so_far = self.num_generated_tokens
        length = self.num_original_tokens + so_far - self.num_dropped_tokens
        return min(self.params.max_tokens - so_far, context_size - length)

    def scored_positions(self, num_tokens: int) -> range:
        """Of the prompt's next `num_tokens` tokens, those whose rows of logits are wanted."""
        start = self.num_computed_tokens
        end = min(start + num_tokens, self.num_original_tokens - 1)
        return range(max(start, self.next_scored - 1), end)

    def fitting_chunk(self, num_tokens: int, num_rows: int) -> int:
        """As many of the prompt's next `num_tokens` tokens as need no more than so many rows."""
        scored = self.scored_positions(num_tokens)
        if len(scored) <= num_rows:
            return num_tokens
        return scored[0] - self.num_computed_tokens + num_rows

    def timings(self, now: float) -> SequenceTimings | None:
        """What it spent its time on until `now`, if that was asked for."""
        return None if self.stopwatch is None else self.stopwatch.read(now)

    def apply(self, event: SequenceEvent) -> None:
        """Move to the next status; IllegalTransition if the table has none."""
        try:
            self.status = TRANSITIONS[self.status, event]
        except KeyError:
            raise IllegalTransition(f"{self!r} cannot be {event.value}") from None

    def finish(self, reason: FinishReason) -> None:
        """End for `reason`."""
        self.apply(SequenceEvent.ENDED)
        self.finish_reason = reason
