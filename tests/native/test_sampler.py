from __future__ import annotations

from typing import Any

import pytest

from cria.native.direct_sampler import DirectSampler
from cria.native.model import Model
from cria.native.sampler import is_plain_greedy, make_sampler, needs_chain
from cria.native.sampler_chain import SamplerChain
from cria.sampling_params import (
    AdaptiveP,
    Dry,
    DynamicTemperature,
    Mirostat,
    SamplingParams,
    Xtc,
)

CONTEXT = 64


def made(model: Model, **params: Any) -> object:
    return make_sampler(model.vocab, SamplingParams(**params), [1, 2], CONTEXT)


def test_plain_greedy_needs_no_chain() -> None:
    assert is_plain_greedy(SamplingParams(temperature=0, top_k=5, top_p=0.5))
    for change in (
        {"logit_bias": ((1, 2.0),)},
        {"ignore_eos": True},
        {"min_tokens": 1},
        {"typical_p": 0.5},
        {"repeat_penalty": 1.1},
        {"presence_penalty": 0.1},
        {"frequency_penalty": -0.1},
    ):
        assert not is_plain_greedy(SamplingParams(temperature=0, **change))  # type: ignore[arg-type]
    assert not is_plain_greedy(SamplingParams())


def test_the_most_likely_token_needs_no_sampler(tiny_model: Model) -> None:
    assert made(tiny_model, temperature=0) is None
    assert made(tiny_model, temperature=0, top_k=5, top_p=0.5) is None


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"top_p": 0.9},
        {"min_p": 0.1},
        {"top_k": 5},
        {"ignore_eos": True},
        {"temperature": 0, "logit_bias": ((1, 1.0),)},
        {"temperature": 0, "repeat_penalty": 1.1},
        {"presence_penalty": 0.1},
        {"temperature": 0, "min_tokens": 3},
        {"top_p": 0.9, "min_keep": 1},
        {"min_keep": 9},
        {"top_n_sigma": 0.0},
    ],
)
def test_the_usual_parameters_take_the_fast_sampler(
    tiny_model: Model, params: dict[str, Any]
) -> None:
    assert not needs_chain(SamplingParams(**params))
    assert isinstance(made(tiny_model, **params), DirectSampler)


@pytest.mark.parametrize(
    "params",
    [
        {"typical_p": 0.9},
        {"top_n_sigma": 1.0},
        {"dry": Dry(0.8)},
        {"xtc": Xtc(0.5)},
        {"dynamic_temperature": DynamicTemperature(0.5)},
        {"mirostat": Mirostat(2)},
        {"adaptive_p": AdaptiveP(0.5)},
        {"samplers": ()},
        {"allowed_token_ids": (1,)},
        {"top_p": 0.9, "min_keep": 2},
        {"min_p": 0.1, "min_keep": 2},
    ],
)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_others_take_a_chain(
    tiny_model: Model, params: dict[str, Any], temperature: float
) -> None:
    assert needs_chain(SamplingParams(**params))
    assert isinstance(made(tiny_model, temperature=temperature, **params), SamplerChain)
