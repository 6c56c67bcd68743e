from __future__ import annotations

import msgspec

from cria.api.timings import Timings, timings_object, total

ONE = Timings(
    queue=0.5,
    prefill=0.1,
    decode=2.0,
    num_computed=20,
    num_cached=5,
    num_generated=5,
    num_further=4,
    cache_limit="differs_at",
    num_same=5,
)


def test_all_names_with_their_units() -> None:
    assert msgspec.to_builtins(timings_object(ONE)) == {
        "queue_ms": 500.0,
        "prefill_ms": 100.0,
        "decode_ms": 2000.0,
        "cache_n": 5,
        "cache_limit": "differs_at",
        "cache_limit_position": 5,
        "prompt_n": 20,
        "prompt_ms": 100.0,
        "prompt_per_token_ms": 5.0,
        "prompt_per_second": 200.0,
        "predicted_n": 5,
        "predicted_ms": 2000.0,
        # The first token is the prompt's work.
        "predicted_per_token_ms": 500.0,
        "predicted_per_second": 2.0,
    }


def test_nothing_is_divided_by_zero() -> None:
    none = Timings(0.0, 0.0, 0.0, 0, 0, 1, 0, "no_match", 0)
    made = msgspec.to_builtins(timings_object(none))
    ratios = [name for name in made if "_per_" in name]
    assert len(ratios) == 4
    assert {made[name] for name in ratios} == {None}


def test_several_are_summed() -> None:
    other = Timings(0.25, 0.5, 1.0, 1, 2, 3, 2, "whole_prompt", 9)
    assert total([ONE, other]) == Timings(0.75, 0.6, 3.0, 21, 7, 8, 6, "differs_at", 5)
    assert total([ONE]) == ONE
