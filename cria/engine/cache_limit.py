"""Why a prompt took no more over from the prefix cache than it did, for those who ask."""

from __future__ import annotations

from cria.engine.slots import Prefix, SlotPool, Tokens
from cria.ipc.messages import CacheLimit, CacheLimitReason


def find_cache_limit(pool: SlotPool, prompt: Tokens, prefix: Prefix) -> CacheLimit:
    """What ended `prefix`, a result of `pool.match(prompt)`; to be asked before `pool.take`."""
    if not pool.min_shared:
        return CacheLimit(CacheLimitReason.DISABLED, 0)
    slot, length = pool.longest_match(prompt[:-1])
    return CacheLimit(_reason(pool, prompt, prefix, (slot, length)), length)


def _reason(
    pool: SlotPool, prompt: Tokens, prefix: Prefix, match: tuple[int, int]
) -> CacheLimitReason:
    slot, length = match
    if length == len(prompt) - 1 == prefix.length:
        return CacheLimitReason.WHOLE_PROMPT
    if not length:
        return CacheLimitReason.NO_MATCH
    if prefix.length < length:
        return CacheLimitReason.TOO_SHORT
    if length == pool.lengths[slot]:
        return CacheLimitReason.CACHE_ENDS
    return CacheLimitReason.DIFFERS_AT
