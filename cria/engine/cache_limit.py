"""Why a prompt took no more over from the prefix cache than it did, for those who ask."""

from __future__ import annotations

from cria.engine.sequence import Sequence
from cria.engine.slots import Prefix, SlotPool
from cria.ipc.messages import CacheLimit, CacheLimitReason


def find_cache_limit(pool: SlotPool, sequence: Sequence, prefix: Prefix) -> CacheLimit:
    """What ended `prefix`, what `pool` matched for the sequence; to be asked before `pool.take`."""
    if not pool.min_shared:
        return CacheLimit(CacheLimitReason.DISABLED, 0)
    slot, length = pool.longest_match(sequence.reusable[:-1], sequence.adapters)
    return CacheLimit(_reason(pool, sequence, prefix, (slot, length)), length)


def _reason(
    pool: SlotPool, sequence: Sequence, prefix: Prefix, match: tuple[int, int]
) -> CacheLimitReason:
    slot, length = match
    if length == len(sequence.reusable) - 1 == prefix.length:
        is_all = len(sequence.reusable) == len(sequence.prompt)
        return CacheLimitReason.WHOLE_PROMPT if is_all else CacheLimitReason.LOGPROBS
    if not length:
        return CacheLimitReason.NO_MATCH
    if prefix.length < length:
        return CacheLimitReason.TOO_SHORT
    if length == pool.lengths[slot]:
        return CacheLimitReason.CACHE_ENDS
    return CacheLimitReason.DIFFERS_AT
