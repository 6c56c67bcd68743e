"""How long a request took in the engine, under llama-server's names and our own."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Timings(msgspec.Struct, frozen=True):
    """Of one sequence, or the sums of several; seconds, and tokens."""

    queue: float
    """Before anything of the prompt was computed."""
    prefill: float
    """From there to the first token."""
    decode: float
    """From the first token to the end."""
    num_computed: int
    """Tokens of the prompt."""
    num_cached: int
    num_generated: int
    """The end-of-generation token included."""
    num_further: int
    """Of them, those after a first one: they were generated in the time `decode`."""
    cache_limit: str
    """Why not more of the prompt was cached."""
    num_same: int
    """Tokens at the beginning of the prompt that are as in the cache."""


class TimingsObject(msgspec.Struct, frozen=True):
    """As it goes over the wire; what would be divided by zero is null."""

    queue_ms: float
    prefill_ms: float
    decode_ms: float
    cache_n: int
    cache_limit: str
    cache_limit_position: int
    prompt_n: int
    prompt_ms: float
    prompt_per_token_ms: float | None
    prompt_per_second: float | None
    predicted_n: int
    predicted_ms: float
    predicted_per_token_ms: float | None
    predicted_per_second: float | None


def total(timings: Sequence[Timings]) -> Timings:
    """The sums of at least one; why not more was cached is the first one's."""
    names = [name for name in Timings.__struct_fields__ if name not in ("cache_limit", "num_same")]
    sums = {name: sum(getattr(each, name) for each in timings) for name in names}
    return msgspec.structs.replace(timings[0], **sums)


def timings_object(timings: Timings) -> TimingsObject:
    """In milliseconds, to the microsecond."""
    prefill_ms, decode_ms = _ms(timings.prefill), _ms(timings.decode)
    return TimingsObject(
        queue_ms=_ms(timings.queue),
        prefill_ms=prefill_ms,
        decode_ms=decode_ms,
        cache_n=timings.num_cached,
        cache_limit=timings.cache_limit,
        cache_limit_position=timings.num_same,
        prompt_n=timings.num_computed,
        prompt_ms=prefill_ms,
        prompt_per_token_ms=_ratio(prefill_ms, timings.num_computed),
        prompt_per_second=_ratio(1000 * timings.num_computed, prefill_ms),
        predicted_n=timings.num_generated,
        predicted_ms=decode_ms,
        predicted_per_token_ms=_ratio(decode_ms, timings.num_further),
        predicted_per_second=_ratio(1000 * timings.num_further, decode_ms),
    )


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)


def _ratio(one: float, other: float) -> float | None:
    return round(one / other, 3) if other else None
