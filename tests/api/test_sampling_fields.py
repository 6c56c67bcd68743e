from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.constraints import ConstraintFields
from cria.api.sampling_effects import SWITCHES
from cria.api.sampling_fields import SamplingFields
from cria.sampling_params import (
    SAMPLER_ORDER,
    AdaptiveP,
    Dry,
    DynamicTemperature,
    Mirostat,
    SamplingParams,
    Xtc,
)
from tests.api.requests import decode_chat, decode_completion, refused_chat, refused_completion


def params_of(**fields: Any) -> SamplingParams:
    """What a request with these fields asks the engine for; it must not have warnings."""
    request, warnings = decode_chat(**fields)
    assert warnings == ()
    return request.sampling_params()


def test_everything_reaches_the_engine() -> None:
    assert params_of(
        typical_p=0.9,
        top_n_sigma=1.5,
        top_p=0.5,
        min_keep=3,
        dry_multiplier=0.8,
        dry_base=2,
        dry_allowed_length=3,
        dry_penalty_last_n=-1,
        dry_sequence_breakers=["\n", "é"],
        xtc_probability=0.5,
        xtc_threshold=0.2,
        dynatemp_range=0.3,
        dynatemp_exponent=2,
        adaptive_target=0.4,
        adaptive_decay=0.5,
        min_tokens=7,
        allowed_token_ids=[3, 1],
        samplers=["top_p", "temp", "xtc", "typ_p", "top_n_sigma", "dry", "adaptive_p"],
    ) == SamplingParams(
        typical_p=0.9,
        top_n_sigma=1.5,
        top_p=0.5,
        min_keep=3,
        dry=Dry(0.8, 2.0, 3, -1, ("\n", "é")),
        xtc=Xtc(0.5, 0.2),
        dynamic_temperature=DynamicTemperature(0.3, 2.0),
        adaptive_p=AdaptiveP(0.4, 0.5),
        min_tokens=7,
        allowed_token_ids=(3, 1),
        samplers=("top_p", "temperature", "xtc", "typ_p", "top_n_sigma", "dry"),
    )


def test_a_switch_alone_brings_the_defaults_of_its_settings() -> None:
    assert params_of(dry_multiplier=1).dry == Dry(1.0)
    assert Dry(1.0).sequence_breakers == ("\n", ":", '"', "*")
    assert params_of(xtc_probability=1).xtc == Xtc(1.0, 0.1)
    assert params_of(dynatemp_range=1).dynamic_temperature == DynamicTemperature(1.0, 1.0)
    assert params_of(adaptive_target=0).adaptive_p == AdaptiveP(0.0, 0.9)
    assert params_of(mirostat=1).mirostat == Mirostat(1, 5.0, 0.1)


@pytest.mark.parametrize("name", ["mirostat", "mirostat_mode"])
@pytest.mark.parametrize("version", [0, 1, 2])
def test_mirostat_has_two_names(name: str, version: int) -> None:
    expected = Mirostat(version) if version else None
    assert params_of(**{name: version}).mirostat == expected


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [("mirostat", "mirostat_mode", (1, 2)), ("repeat_penalty", "repetition_penalty", (1.1, 1.2))],
)
def test_two_names_of_one_number_must_agree(
    one: str, other: str, values: tuple[float, float]
) -> None:
    decode_chat(**{one: values[0], other: values[0]})
    error = refused_chat(**{one: values[0], other: values[1]})
    assert (error.param, error.code) == (other, "invalid_value")
    assert f"'{one}'" in str(error)


def test_repetition_penalty_is_another_name() -> None:
    assert params_of(repetition_penalty=1.1).repeat_penalty == 1.1


def test_the_usual_order_is_not_worth_mentioning() -> None:
    assert params_of(samplers=list(SAMPLER_ORDER)).samplers is None
    assert params_of(samplers="edskypmxta", adaptive_target=0.5) == SamplingParams(
        adaptive_p=AdaptiveP(0.5)
    )
    assert params_of(samplers="kt").samplers == ("top_k", "temperature")
    assert params_of(samplers=[]).samplers == ()


@pytest.mark.parametrize(
    "bias", [{"5": -100, "6": 1.5}, [[5, -100], [6, 1.5]], [[5, False], [6, 9], [6, 1.5]]]
)
def test_biases_come_as_an_object_or_as_pairs(bias: object) -> None:
    assert params_of(logit_bias=bias).logit_bias == ((5, -100.0), (6, 1.5))
    assert decode_chat(logit_bias=bias)[0].banned_ids == {5}


@pytest.mark.parametrize(("temperature", "expected"), [(1e-40, 0), (9e-6, 0), (1e-5, 1e-5)])
def test_a_temperature_that_would_overflow_is_greedy(temperature: float, expected: float) -> None:
    assert params_of(temperature=temperature).temperature == expected


def test_the_least_number_of_tokens_is_within_the_limit() -> None:
    assert params_of(min_tokens=5, max_tokens=5).min_tokens == 5
    assert decode_completion(min_tokens=16)[0].min_tokens == 16
    decode_chat(min_tokens=99, max_tokens=5, max_completion_tokens=-1)
    for error in (
        refused_chat(min_tokens=6, max_completion_tokens=5, max_tokens=7),
        refused_completion(min_tokens=17),
    ):
        assert (error.param, error.code) == ("min_tokens", "integer_above_max_value")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"repeat_penalty": 1e-300}, None, "decimal_below_min_value"),
        ({"typical_p": -0.1}, None, "decimal_below_min_value"),
        ({"typical_p": 1.1}, None, "decimal_above_max_value"),
        ({"top_n_sigma": -2}, None, "decimal_below_min_value"),
        ({"min_keep": -1}, None, "integer_below_min_value"),
        ({"dry_multiplier": -0.1}, None, "decimal_below_min_value"),
        ({"dry_base": 0.9}, None, "decimal_below_min_value"),
        ({"dry_allowed_length": -1}, None, "integer_below_min_value"),
        ({"dry_penalty_last_n": -2}, None, "integer_below_min_value"),
        ({"dry_sequence_breakers": "\n"}, None, "invalid_type"),
        ({"dry_sequence_breakers": [""]}, "dry_sequence_breakers[0]", "empty_string"),
        ({"dry_sequence_breakers": ["x"] * 17}, None, "array_above_max_length"),
        ({"dry_sequence_breakers": ["🙂" * 10, "x"]}, None, "string_above_max_length"),
        ({"dry_sequence_breakers": ["a\0"]}, None, "invalid_value"),
        ({"xtc_probability": 1.1}, None, "decimal_above_max_value"),
        ({"xtc_threshold": -0.1}, None, "decimal_below_min_value"),
        ({"dynatemp_range": -0.1}, None, "decimal_below_min_value"),
        ({"dynatemp_exponent": -1}, None, "decimal_below_min_value"),
        ({"mirostat": 3}, None, "integer_above_max_value"),
        ({"mirostat": True}, None, "invalid_type"),
        ({"mirostat_mode": -1}, None, "integer_below_min_value"),
        ({"mirostat_tau": -1}, None, "decimal_below_min_value"),
        ({"mirostat_eta": "x"}, None, "invalid_type"),
        ({"adaptive_target": 1.1}, None, "decimal_above_max_value"),
        ({"adaptive_decay": 0.995}, None, "decimal_above_max_value"),
        ({"samplers": ["infill"]}, "samplers[0]", "invalid_value"),
        ({"samplers": "?"}, None, "invalid_value"),
        ({"samplers": 1}, None, "invalid_type"),
        ({"samplers": "k" * 33}, None, "string_above_max_length"),
        ({"min_tokens": -1}, None, "integer_below_min_value"),
        ({"stop_token_ids": [-1]}, "stop_token_ids[0]", "integer_below_min_value"),
        ({"stop_token_ids": 5}, None, "invalid_type"),
        ({"allowed_token_ids": []}, None, "empty_array"),
        ({"allowed_token_ids": ["a"]}, "allowed_token_ids[0]", "invalid_type"),
        ({"logit_bias": [[5, True]]}, "logit_bias[0][1]", "invalid_value"),
        ({"logit_bias": [[5, 101]]}, "logit_bias[0][1]", "decimal_above_max_value"),
        ({"logit_bias": [[5, 1, 1]]}, "logit_bias[0]", "invalid_value"),
        ({"logit_bias": [["a", 1]]}, "logit_bias[0][0]", "invalid_type"),
        ({"logit_bias": [[1, 1]] * 1025}, None, "array_above_max_length"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    fields: dict[str, Any], param: str | None, code: str
) -> None:
    for error in (refused_chat(**fields), refused_completion(**fields)):
        assert (error.param, error.code) == (param or next(iter(fields)), code)


def floats(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(least, most) | st.sampled_from([least, most])


VALID = {
    "typical_p": floats(0, 1),
    "top_n_sigma": floats(-1, 10),
    "min_keep": st.integers(0, 2**31 - 1),
    "dry_multiplier": floats(0, 5),
    "dry_base": floats(1, 4),
    "dry_allowed_length": st.integers(0, 2**31 - 1),
    "dry_penalty_last_n": st.integers(-1, 2**31 - 1),
    "dry_sequence_breakers": st.lists(st.text("a\né", min_size=1, max_size=3), max_size=5),
    "xtc_probability": floats(0, 1),
    "xtc_threshold": floats(0, 1),
    "dynatemp_range": floats(0, 2),
    "dynatemp_exponent": floats(0, 10),
    "mirostat": st.integers(0, 2),
    "mirostat_tau": floats(0, 20),
    "mirostat_eta": floats(0, 1),
    "adaptive_target": floats(-1, 1),
    "adaptive_decay": floats(0, 0.99),
    "samplers": st.text("edskypmxta", max_size=12) | st.permutations(SAMPLER_ORDER),
    "min_tokens": st.integers(0, 10),
    "stop_token_ids": st.lists(st.integers(0, 2**31 - 1), max_size=4),
    "allowed_token_ids": st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4),
}


@given(st.fixed_dictionaries({}, optional=VALID))
def test_any_valid_fields_are_honoured_or_named(fields: dict[str, Any]) -> None:
    request, warnings = decode_chat(**fields)
    params = request.sampling_params()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(params), type=SamplingParams) == params
    assert set(warnings) <= fields.keys()
    for name in fields.keys() - set(warnings) - {"stop_token_ids", "samplers"}:
        if asks_for_something(name, fields[name]):
            others = {other: value for other, value in fields.items() if other != name}
            assert decode_chat(**others)[0].sampling_params() != params, name


def asks_for_something(name: str, value: Any) -> bool:
    if name in SWITCHES:
        return SWITCHES[name].asks(value)
    return bool(value != getattr(SamplingFields(), name))


def test_the_documentation_lists_every_field_with_its_default() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sampling.md").read_text()
    table = text.partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    listed = {name: row[2] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    fields = {field.encode_name: field for field in msgspec.structs.fields(SamplingFields)}
    shapes = {field.encode_name for field in msgspec.structs.fields(ConstraintFields)}
    fields = {name: field for name, field in fields.items() if name not in shapes}
    assert listed.keys() == {*fields, "seed"}
    for name, field in fields.items():
        if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
            assert listed[name].partition(":")[0] == f"{field.default:g}", name


def test_the_struct_stands_on_its_own() -> None:
    fields = SamplingFields()
    assert fields.choosing(max_tokens=3, seed=4) == SamplingParams(max_tokens=3, seed=4)
    assert list(fields.without_effect()) == []
