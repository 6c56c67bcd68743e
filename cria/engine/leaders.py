"""Waiting for a running sequence that computes the same prefix: cheaper than computing it twice.

Everybody waits for one leader at most, which is running, so nobody waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

from cria.engine.sequence import Sequence, SequenceStatus
from cria.engine.slots import common_length


def must_wait(sequence: Sequence, prefilling: Iterable[Sequence], min_shared: int) -> bool:
    """Whether a running sequence is still computing what this one can take over from it."""
    if sequence.leader is None:
        sequence.leader = find_leader(sequence, prefilling, min_shared) or sequence
    leader = sequence.leader
    if leader is sequence or leader.status is not SequenceStatus.PREFILL:
        return False
    return common_length(leader.prompt, sequence.reusable) > leader.num_computed_tokens


def find_leader(
    sequence: Sequence, prefilling: Iterable[Sequence], min_shared: int
) -> Sequence | None:
    """Who is about to compute most of this prompt, if that is `min_shared` tokens or more.

    Only who is sooner: behind another one, urgent prompts would hold up a yet more urgent one.
    """
    if not min_shared:
        return None
    gains = [
        (common_length(other.prompt, sequence.reusable) - other.num_computed_tokens, other)
        for other in prefilling
        if other.order < sequence.order and other.adapters == sequence.adapters
    ]
    gain, leader = max(gains, key=lambda pair: pair[0], default=(0, None))
    return leader if gain >= min_shared else None
