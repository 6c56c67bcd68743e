"""Whether a model fits into the memory that is free, and what would, if it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cria.model_file.header import Header
from cria.model_file.memory import MemoryNeed, memory_needed

DEFAULT_CONTEXT = 8192
SMALLER_CACHE = "q8_0"
CACHE_SHARE = 0.5
"""Of what the weights leave; the most that a cache takes whose size is the server's choice."""


class Plan(NamedTuple):
    """What is asked of a model at the same time."""

    context_size: int
    num_slots: int
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"


class Fit(NamedTuple):
    """How a plan goes with a machine."""

    plan: Plan
    need: MemoryNeed
    free_bytes: int
    fits: bool
    smaller: Plan | None
    """One that fits, if this one does not."""


def usual_context(header: Header, wanted: int | None) -> int:
    """Tokens of a sequence, as the server chooses them."""
    trained = header.of_model("context_length")
    known = trained if isinstance(trained, int) and trained > 0 else DEFAULT_CONTEXT
    return wanted or min(known, DEFAULT_CONTEXT)


def fit(headers: Sequence[Header], plan: Plan, free_bytes: int, *, may_shrink: bool) -> Fit:
    """With `may_shrink` the server chooses, and takes a smaller cache where memory is short."""
    need = need_of(headers, plan)
    if may_shrink:
        left = max(0, free_bytes - need.weights - need.compute)
        need = need._replace(cache=min(need.cache, int(left * CACHE_SHARE)))
    if need.total <= free_bytes:
        return Fit(plan, need, free_bytes, True, None)
    smaller = (each for each in _smaller(plan) if need_of(headers, each).total <= free_bytes)
    return Fit(plan, need, free_bytes, False, next(smaller, None))


def need_of(headers: Sequence[Header], plan: Plan) -> MemoryNeed:
    """Of all parts together."""
    weights = sum(tensor.num_bytes for header in headers for tensor in header.tensors)
    return memory_needed(headers[0], *plan)._replace(weights=weights)


def _smaller(plan: Plan) -> Iterator[Plan]:
    """From what costs least: smaller numbers in the cache, fewer sequences, shorter ones."""
    plan = plan._replace(cache_type_k=SMALLER_CACHE, cache_type_v=SMALLER_CACHE)
    yield plan
    while plan.num_slots > 1:
        plan = plan._replace(num_slots=plan.num_slots // 2)
        yield plan
    while plan.context_size > 512:
        plan = plan._replace(context_size=plan.context_size // 2)
        yield plan
