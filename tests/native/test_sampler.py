from __future__ import annotations

from typing import Any

from cria.native.direct_sampler import DirectSampler
from cria.native.model import Model
from cria.native.sampler import is_plain_greedy, make_sampler
from cria.sampling_params import (
    SamplingParams,
)

CONTEXT = 64


def test_plain_greedy_needs_no_chain() -> None:
    assert is_plain_greedy(SamplingParams(temperature=0, top_k=5, top_p=0.5))
    for change in (
        {"logit_bias": ((1, 2.0),)},
        {"ignore_eos": True},
        {"repeat_penalty": 1.1},
        {"presence_penalty": 0.1},
        {"frequency_penalty": -0.1},
    ):
        assert not is_plain_greedy(SamplingParams(temperature=0, **change))  # type: ignore[arg-type]
    assert not is_plain_greedy(SamplingParams())


def test_the_cheapest_sampler_is_made(tiny_model: Model) -> None:
    def made(**params: Any) -> object:
        return make_sampler(tiny_model.vocab, SamplingParams(**params), [], CONTEXT)

    assert made(temperature=0) is None
    assert made(temperature=0, top_k=5, top_p=0.5) is None
    for params in (
        {},
        {"top_p": 0.9},
        {"min_p": 0.1},
        {"top_k": 5},
        {"ignore_eos": True},
        {"temperature": 0, "logit_bias": ((1, 1.0),)},
        {"temperature": 0, "repeat_penalty": 1.1},
        {"presence_penalty": 0.1},
    ):
        assert isinstance(made(**params), DirectSampler)
