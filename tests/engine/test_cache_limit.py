from __future__ import annotations

import numpy as np
import pytest

from cria.engine.cache_limit import find_cache_limit
from cria.engine.sequence import Sequence
from cria.engine.slots import Capacity, Prefix, SlotPool
from cria.ipc.messages import CacheLimit, CacheLimitReason, Submit
from cria.sampling_params import SamplingParams


def limit_of(
    prompt: list[int],
    *,
    min_shared: int = 3,
    source_busy: bool = False,
    scored_from: int | None = None,
) -> CacheLimit:
    """In a pool of two slots, the first of which holds 1 2 3 4 5 6."""
    pool = SlotPool(Capacity(2, 32, 64), min_shared=min_shared)
    pool.take(Prefix(0, 0, 0))
    pool.hold(0, np.array([1, 2, 3, 4, 5, 6], np.int32))
    if not source_busy:
        pool.give_back(0)
    params = SamplingParams(prompt_logprobs_from=scored_from)
    sequence = Sequence(Submit(1, prompt, params))
    return find_cache_limit(pool, sequence, pool.match(sequence.reusable))


@pytest.mark.parametrize(
    ("prompt", "reason", "position"),
    [
        ([7, 8], "no_match", 0),
        ([1], "whole_prompt", 0),
        ([1, 2, 3, 4, 9, 9], "differs_at", 4),
        ([1, 2, 3, 4, 5, 6, 7, 8], "cache_ends", 6),
        ([1, 2, 3, 4, 5, 6, 7], "whole_prompt", 6),
        ([1, 2, 3, 4, 5], "whole_prompt", 4),
    ],
)
def test_each_reason_has_its_case(prompt: list[int], reason: str, position: int) -> None:
    assert limit_of(prompt) == CacheLimit(CacheLimitReason(reason), position)


@pytest.mark.parametrize("prompt", [[1, 2, 9, 9], [1, 2, 3]])
def test_a_copy_of_a_few_tokens_does_not_pay(prompt: list[int]) -> None:
    limit = limit_of(prompt, source_busy=True)
    assert limit == CacheLimit(CacheLimitReason.TOO_SHORT, 2)


def test_what_is_off_matches_nothing() -> None:
    limit = limit_of([1, 2, 3, 4, 5], min_shared=0)
    assert limit == CacheLimit(CacheLimitReason.DISABLED, 0)


def test_what_is_scored_must_be_computed() -> None:
    prompt = [1, 2, 3, 4, 5, 6, 7, 8]
    assert limit_of(prompt, scored_from=5) == CacheLimit(CacheLimitReason.LOGPROBS, 4)
    assert limit_of([1, 2, 3, 4, 9, 5, 6], scored_from=6).reason is CacheLimitReason.DIFFERS_AT
