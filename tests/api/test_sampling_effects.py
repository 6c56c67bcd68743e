from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cria.api.generation_request import GenerationRequest
from cria.api.sampling_effects import SETTINGS, SWITCHES
from tests.api.requests import decode_chat, decode_completion

ON: dict[str, Any] = {
    "repeat_penalty": 1.1,
    "repetition_penalty": 1.1,
    "presence_penalty": -0.5,
    "frequency_penalty": 0.5,
    "dry_multiplier": 0.8,
    "top_n_sigma": 1.5,
    "top_k": 5,
    "typical_p": 0.9,
    "top_p": 0.9,
    "min_p": 0.1,
    "xtc_probability": 0.5,
    "temperature": 0.5,
    "dynatemp_range": 0.3,
    "mirostat": 2,
    "mirostat_mode": 1,
    "adaptive_target": 0.0,
}
CHANGED: dict[str, Any] = {
    "repeat_last_n": -1,
    "dry_base": 2,
    "dry_allowed_length": 0,
    "dry_penalty_last_n": -1,
    "dry_sequence_breakers": [],
    "min_keep": 2,
    "xtc_threshold": 0.2,
    "dynatemp_exponent": 2,
    "mirostat_tau": 3,
    "mirostat_eta": 0.2,
    "adaptive_decay": 0.5,
}
OFF: dict[str, Any] = {
    "repeat_penalty": 1,
    "presence_penalty": 0,
    "dry_multiplier": 0,
    "top_n_sigma": 0,
    "top_k": -1,
    "typical_p": 1,
    "top_p": 1.0,
    "min_p": 0,
    "xtc_probability": 0,
    "dynatemp_range": 0,
    "mirostat": 0,
    "adaptive_target": -1,
    "samplers": "kt",
}


def test_the_tables_of_this_test_are_complete() -> None:
    assert ON.keys() == SWITCHES.keys() and CHANGED.keys() == SETTINGS.keys()
    names = {field.name for field in msgspec.structs.fields(GenerationRequest)}
    assert names >= SWITCHES.keys() | SETTINGS.keys()


@pytest.mark.parametrize("name", ON)
def test_a_switch_alone_has_an_effect(name: str) -> None:
    assert decode_chat(**{name: ON[name]})[1] == ()


@pytest.mark.parametrize("name", [name for name in ON if "mirostat" not in name])
def test_a_switch_needs_its_sampler(name: str) -> None:
    assert decode_completion(samplers=[], **{name: ON[name]})[1] == (name,)
    assert decode_completion(samplers=[SWITCHES[name].sampler], **{name: ON[name]})[1] == ()


@pytest.mark.parametrize("name", CHANGED)
def test_a_setting_needs_one_of_its_switches(name: str) -> None:
    assert decode_chat(**{name: CHANGED[name]})[1] == (name,)
    for switch in SETTINGS[name]:
        assert decode_chat(**{name: CHANGED[name], switch: ON[switch]})[1] == ()


def test_a_setting_needs_the_sampler_of_its_switch() -> None:
    fields = {"dry_multiplier": 0.8, "dry_base": 2, "samplers": ["top_k"]}
    assert decode_chat(**fields)[1] == ("dry_multiplier", "dry_base")


@pytest.mark.parametrize("name", ["top_k", "typical_p", "xtc_probability", "adaptive_target"])
def test_mirostat_takes_the_place_of_what_truncates(name: str) -> None:
    assert decode_chat(mirostat=2, **{name: ON[name]})[1] == (name,)


@pytest.mark.parametrize("name", ["temperature", "dynatemp_range", "dry_multiplier"])
def test_mirostat_comes_after_penalties_and_temperature(name: str) -> None:
    assert decode_chat(mirostat=1, **{name: ON[name]})[1] == ()


def test_mirostat_has_an_order_of_its_own() -> None:
    assert decode_chat(mirostat=1, samplers="kt")[1] == ("samplers",)


def test_no_two_tokens_reach_more_than_a_half() -> None:
    fields = {"xtc_probability": 0.5, "xtc_threshold": 0.6}
    request, warnings = decode_chat(**fields)
    assert request.sampling_params().xtc is None and warnings == ("xtc_probability",)


def test_what_is_off_needs_no_warning() -> None:
    assert decode_chat(**OFF)[1] == ()
