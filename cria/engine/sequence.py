"""`Sequence`: one generation, from the queue to its last token.

What may happen to a sequence is the table `TRANSITIONS`; anything else is a bug, and raises.
"""

from __future__ import annotations

import enum

import numpy as np

from cria.ipc.messages import FinishReason, Submit


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
    ENDED = "ended"
    """For any FinishReason."""


TRANSITIONS: dict[tuple[SequenceStatus, SequenceEvent], SequenceStatus] = {
    (SequenceStatus.WAITING, SequenceEvent.ADMITTED): SequenceStatus.PREFILL,
    (SequenceStatus.WAITING, SequenceEvent.ENDED): SequenceStatus.FINISHED,
    (SequenceStatus.PREFILL, SequenceEvent.PROMPT_COMPUTED): SequenceStatus.DECODE,
    (SequenceStatus.PREFILL, SequenceEvent.ENDED): SequenceStatus.FINISHED,
    (SequenceStatus.DECODE, SequenceEvent.ENDED): SequenceStatus.FINISHED,
}


class IllegalTransition(Exception):
    """An event that cannot happen in the sequence's status."""


class Sequence:
    """A prompt and what is generated after it; all counts are in tokens."""

    __slots__ = (
        "finish_reason",
        "last_token",
        "leader",
        "num_cached_tokens",
        "num_computed_tokens",
        "num_generated_tokens",
        "params",
        "prompt",
        "request_id",
        "slot",
        "status",
    )

    def __init__(self, submit: Submit) -> None:
        self.request_id = submit.request_id
        self.prompt = np.array(submit.token_ids, np.int32)
        self.params = submit.sampling_params
        self.status = SequenceStatus.WAITING
        self.slot = -1
        self.num_computed_tokens = 0
        """Tokens of this sequence whose keys and values are in the cache."""
        self.num_cached_tokens = 0
        """Those of them that were there before it came."""
        self.leader: Sequence | None = None
        """A running sequence that is about to compute a prefix of this one's prompt."""
        self.num_generated_tokens = 0
        self.last_token = -1
        self.finish_reason: FinishReason | None = None

    def __repr__(self) -> str:
        return f"<Sequence {self.request_id} {self.status.value} slot={self.slot}>"

    @property
    def num_tokens(self) -> int:
        """Prompt and generated tokens."""
        return len(self.prompt) + self.num_generated_tokens

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
