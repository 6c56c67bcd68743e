from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.generation_request import fold_seed
from cria.sampling_params import UNLIMITED, SamplingParams
from tests.api.requests import decode_chat, decode_completion, refused_chat, refused_completion


def test_defaults_are_openais() -> None:
    request, warnings = decode_chat()
    assert request.sampling_params() == SamplingParams()
    assert (request.n, request.stream, request.stop, request.include_usage) == (1, False, (), False)
    assert warnings == ()


def test_every_number_reaches_the_engine() -> None:
    request, warnings = decode_chat(
        max_tokens=5,
        temperature=0,
        top_k=3,
        top_p=0.5,
        min_p=0.25,
        seed=7,
        repeat_penalty=1.5,
        repeat_last_n=-1,
        presence_penalty=-2,
        frequency_penalty=2.0,
        logit_bias={"5": -100, "6": 1.5},
        ignore_eos=True,
    )
    assert warnings == ()
    assert request.sampling_params() == SamplingParams(
        max_tokens=5,
        temperature=0.0,
        top_k=3,
        top_p=0.5,
        min_p=0.25,
        seed=7,
        repeat_penalty=1.5,
        repeat_last_n=-1,
        presence_penalty=-2.0,
        frequency_penalty=2.0,
        logit_bias=((5, -100.0), (6, 1.5)),
        ignore_eos=True,
    )


def test_minus_one_switches_limits_off() -> None:
    params = decode_completion(max_tokens=-1, top_k=-1)[0].sampling_params()
    assert (params.max_tokens, params.top_k) == (UNLIMITED, 0)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [("x", ("x",)), (["x", "y"], ("x", "y")), ([], ()), (None, ()), (["x"] * 16, ("x",) * 16)],
)
def test_stop_is_one_string_or_several(stop: object, expected: tuple[str, ...]) -> None:
    assert decode_chat(stop=stop)[0].stop == expected


def test_stream_options_are_for_streams() -> None:
    options = {"include_usage": True}
    request, warnings = decode_chat(stream=True, stream_options=options)
    assert (request.include_usage, warnings) == (True, ())
    assert decode_chat(stream_options=options)[1] == ("stream_options",)
    assert not decode_chat(stream=True, stream_options={"include_usage": None})[0].include_usage


def test_obfuscation_is_never_added() -> None:
    options = {"include_obfuscation": True}
    warnings = decode_chat(stream=True, stream_options=options)[1]
    assert warnings == ("stream_options.include_obfuscation",)


@pytest.mark.parametrize(
    ("options", "continuous", "warnings"),
    [
        ({"include_usage": True, "continuous_usage_stats": True}, True, ()),
        ({"include_usage": True, "continuous_usage_stats": False}, False, ()),
        ({"include_usage": True}, False, ()),
        ({"continuous_usage_stats": True}, False, ("stream_options.continuous_usage_stats",)),
    ],
)
def test_usage_on_every_chunk_needs_usage(
    options: dict[str, bool], continuous: bool, warnings: tuple[str, ...]
) -> None:
    for decode_request in (decode_chat, decode_completion):
        request, reported = decode_request(stream=True, stream_options=options)
        assert (request.continuous_usage, reported) == (continuous, warnings)
    assert not decode_chat()[0].continuous_usage


@pytest.mark.parametrize(
    ("seed", "folded"),
    [(0, 0), (7, 7), (2**32 - 2, 2**32 - 2), (2**32 - 1, 2**32 - 2), (2**40, 256), (-1, 0)],
)
def test_seeds_fold_to_32_bits(seed: int, folded: int) -> None:
    assert fold_seed(seed) == folded


@given(st.integers(-(2**63), 2**63 - 1))
def test_no_seed_folds_to_the_one_that_means_random(seed: int) -> None:
    assert 0 <= fold_seed(seed) < 2**32 - 1
    assert decode_chat(seed=seed)[0].sampling_params().seed == fold_seed(seed)


@pytest.mark.parametrize("decode_request", [decode_chat, decode_completion])
@pytest.mark.parametrize(
    ("tier", "served", "level"),
    [
        (None, None, 0),
        ("auto", "default", 0),
        ("default", "default", 0),
        ("scale", "default", 0),
        ("flex", "flex", 10),
        ("priority", "priority", -10),
        ("fast", "priority", -10),
    ],
)
def test_a_tier_is_a_priority_and_is_told(
    decode_request: Callable[..., Any], tier: str | None, served: str | None, level: int
) -> None:
    request, warnings = decode_request(service_tier=tier)
    assert (request.tier_served, request.level, warnings) == (served, level, ())


def test_nobody_is_usual_and_hears_of_no_tier() -> None:
    request, _ = decode_chat()
    assert (request.level, request.tier_served) == (0, None)


@pytest.mark.parametrize("priority", [-1000, -1, 1, 1000])
def test_a_number_says_more_than_a_tier(priority: int) -> None:
    request, warnings = decode_completion(priority=priority, service_tier="flex")
    assert (request.level, request.tier_served, warnings) == (priority, "flex", ())
    assert decode_chat(priority=priority)[0].level == priority


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("priority", -1001, "integer_below_min_value"),
        ("priority", 1001, "integer_above_max_value"),
        ("priority", 1.5, "invalid_type"),
        ("priority", "high", "invalid_type"),
        ("service_tier", "gold", "invalid_value"),
        ("service_tier", 1, "invalid_type"),
    ],
)
def test_other_priorities_and_tiers_are_refused(field: str, value: object, code: str) -> None:
    for error in (refused_chat(**{field: value}), refused_completion(**{field: value})):
        assert (error.param, error.code) == (field, code)
