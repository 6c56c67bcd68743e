"""What a chain makes of known logits."""

from __future__ import annotations

import ctypes
import math
from collections import Counter

import pytest

from cria.native.model import Model
from cria.native.sampler_chain import SamplerChain
from cria.native.structs import llama_token_data, llama_token_data_array
from cria.sampling_params import SamplingParams

CONTEXT = 64


def chain_of(model: Model, prompt: list[int] | None = None, **params: object) -> SamplerChain:
    values = SamplingParams(**params)  # type: ignore[arg-type]  # the tests' own keywords
    return SamplerChain(model.vocab, values, prompt or [], CONTEXT)


def apply(model: Model, chain: SamplerChain, logits: dict[int, float]) -> tuple[dict, int]:
    """The surviving {token: logit}, and the chosen token."""
    data = (llama_token_data * len(logits))(*[(t, v, 0.0) for t, v in logits.items()])
    array = llama_token_data_array(data=data, size=len(logits), selected=-1, sorted=False)
    model.library.llama_sampler_apply(chain.pointer, ctypes.byref(array))
    kept = {array.data[i].id: array.data[i].logit for i in range(array.size)}
    return kept, int(array.data[array.selected].id)


FLAT = {10: 1.0, 11: 0.9, 12: 0.8, 13: -4.0}


def test_greedy_takes_the_maximum(tiny_model: Model) -> None:
    assert apply(tiny_model, chain_of(tiny_model, temperature=0, ignore_eos=True), FLAT)[1] == 10


def test_logit_bias_adds_and_minus_hundred_bans(tiny_model: Model) -> None:
    chain = chain_of(tiny_model, temperature=0, logit_bias=((10, -100.0), (12, 0.5)))
    kept, chosen = apply(tiny_model, chain, FLAT)
    assert chosen == 12
    assert kept[10] == -math.inf and kept[12] == pytest.approx(1.3)


def test_ignore_eos_bans_every_end_of_generation_token(tiny_model: Model) -> None:
    (end, *_) = tiny_model.vocab.end_of_generation_ids
    chain = chain_of(tiny_model, temperature=0, ignore_eos=True)
    kept, chosen = apply(tiny_model, chain, {end: 50.0, 10: 1.0})
    assert chosen == 10 and kept[end] == -math.inf


def test_repeat_penalty_looks_into_the_prompt_as_far_as_told(tiny_model: Model) -> None:
    for last_n, expected in ((2, 11), (1, 10), (-1, 11), (0, 10)):
        chain = chain_of(
            tiny_model, [10, 99], temperature=0, repeat_penalty=2.0, repeat_last_n=last_n
        )
        assert apply(tiny_model, chain, FLAT)[1] == expected, last_n


def test_count_penalties_do_not_look_into_the_prompt(tiny_model: Model) -> None:
    chain = chain_of(
        tiny_model, [10] * 9, temperature=0, presence_penalty=2.0, frequency_penalty=2.0
    )
    assert apply(tiny_model, chain, FLAT)[1] == 10


def test_count_penalties_subtract_what_openai_says(tiny_model: Model) -> None:
    chain = chain_of(tiny_model, temperature=0, presence_penalty=0.25, frequency_penalty=0.5)
    for token in (10, 10, 11):
        tiny_model.library.llama_sampler_accept(chain.pointer, token)
    kept, chosen = apply(tiny_model, chain, FLAT)
    assert kept[10] == pytest.approx(1.0 - 2 * 0.5 - 0.25)
    assert kept[11] == pytest.approx(0.9 - 0.5 - 0.25)
    assert chosen == 12


def test_count_penalties_remember_the_whole_generation(tiny_model: Model) -> None:
    chain = chain_of(tiny_model, temperature=0, presence_penalty=1.0)
    for token in (10, *[99] * (CONTEXT - 2)):
        tiny_model.library.llama_sampler_accept(chain.pointer, token)
    assert apply(tiny_model, chain, FLAT)[1] == 11


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"top_k": 2}, {10, 11}),
        ({"top_p": 0.5}, {10, 11}),
        ({"min_p": 0.85}, {10, 11}),
        ({}, {10, 11, 12, 13}),
    ],
)
def test_truncation_keeps(tiny_model: Model, params: dict[str, object], expected: set[int]) -> None:
    kept, chosen = apply(tiny_model, chain_of(tiny_model, seed=1, **params), FLAT)
    assert set(kept) == expected and chosen in expected


def test_the_choice_follows_the_distribution(tiny_model: Model) -> None:
    chain = chain_of(tiny_model, temperature=0.5, seed=3)
    draws = Counter(apply(tiny_model, chain, FLAT)[1] for _ in range(4000))
    weights = {token: math.exp(logit / 0.5) for token, logit in FLAT.items()}
    for token in (10, 11, 12):
        expected = weights[token] / sum(weights.values())
        assert draws[token] / 4000 == pytest.approx(expected, abs=0.04)


def test_a_seed_repeats_its_choices_and_no_seed_does_not(tiny_model: Model) -> None:
    def draws(**params: object) -> list[int]:
        chain = chain_of(tiny_model, **params)
        return [apply(tiny_model, chain, FLAT)[1] for _ in range(60)]

    assert draws(seed=5) == draws(seed=5)
    assert draws(seed=5) != draws(seed=6)
    assert draws() != draws()
