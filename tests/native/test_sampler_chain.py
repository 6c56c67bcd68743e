"""What a chain makes of known logits."""

from __future__ import annotations

import ctypes
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cria.native.handles import NativeHandle
from cria.native.library import Library
from cria.native.model import Model
from cria.native.row_sampling import RowSampler
from cria.native.sampler_chain import SamplerChain
from cria.native.structs import llama_logit_bias, llama_token_data, llama_token_data_array
from cria.sampling_params import (
    SAMPLER_ORDER,
    AdaptiveP,
    Dry,
    DynamicTemperature,
    Mirostat,
    SamplingParams,
    Xtc,
)

Rows = npt.NDArray[np.float32]
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


# --- The further samplers -------------------------------------------------------------------------

SEED = 11
EXTRAS: dict[str, tuple[dict[str, Any], Callable[[Library], list[Any]]]] = {
    "typical_p": (
        {"typical_p": 0.6},
        lambda lib: [lib.llama_sampler_init_typical(0.6, 0), lib.llama_sampler_init_dist(SEED)],
    ),
    "top_n_sigma": (
        {"top_n_sigma": 1.2, "temperature": 0.7},
        lambda lib: [
            lib.llama_sampler_init_top_n_sigma(1.2),
            lib.llama_sampler_init_temp_ext(0.7, 0.0, 1.0),
            lib.llama_sampler_init_dist(SEED),
        ],
    ),
    "xtc": (
        {"xtc": Xtc(0.5, 0.05), "min_p": 0.01},
        lambda lib: [
            lib.llama_sampler_init_min_p(0.01, 0),
            lib.llama_sampler_init_xtc(0.5, 0.05, 0, SEED),
            lib.llama_sampler_init_dist(SEED),
        ],
    ),
    "min_keep": (
        {"top_p": 0.1, "min_p": 0.9, "xtc": Xtc(1.0, 0.01), "min_keep": 4},
        lambda lib: [
            lib.llama_sampler_init_top_p(0.1, 4),
            lib.llama_sampler_init_min_p(0.9, 4),
            lib.llama_sampler_init_xtc(1.0, 0.01, 4, SEED),
            lib.llama_sampler_init_dist(SEED),
        ],
    ),
    "dynamic temperature": (
        {"temperature": 0.8, "dynamic_temperature": DynamicTemperature(0.5, 1.5)},
        lambda lib: [
            lib.llama_sampler_init_temp_ext(0.8, 0.5, 1.5),
            lib.llama_sampler_init_dist(SEED),
        ],
    ),
    "mirostat 1": (
        {"temperature": 1.2, "mirostat": Mirostat(1, 3.0, 0.2)},
        lambda lib: [
            lib.llama_sampler_init_temp(1.2),
            lib.llama_sampler_init_mirostat(NUM_TOKENS, SEED, 3.0, 0.2, 100),
        ],
    ),
    "mirostat 2": (
        {"top_k": 1, "mirostat": Mirostat(2)},
        lambda lib: [lib.llama_sampler_init_mirostat_v2(SEED, 5.0, 0.1)],
    ),
    "adaptive_p": (
        {"top_k": 20, "adaptive_p": AdaptiveP(0.3, 0.8)},
        lambda lib: [
            lib.llama_sampler_init_top_k(20),
            lib.llama_sampler_init_adaptive_p(0.3, 0.8, SEED),
        ],
    ),
    "all in the server's order": (
        {
            "temperature": 0.9,
            "top_k": 30,
            "top_p": 0.95,
            "min_p": 0.02,
            "typical_p": 0.9,
            "top_n_sigma": 2.0,
            "xtc": Xtc(0.3, 0.1),
            "repeat_penalty": 1.3,
            "logit_bias": ((5, 3.0),),
        },
        lambda lib: [
            lib.llama_sampler_init_logit_bias(NUM_TOKENS, 1, (llama_logit_bias * 1)((5, 3.0))),
            lib.llama_sampler_init_penalties(NUM_TOKENS, 64, 1.3, 0.0, 0.0),
            lib.llama_sampler_init_top_n_sigma(2.0),
            lib.llama_sampler_init_top_k(30),
            lib.cria_chain_drop_impossible(),
            lib.llama_sampler_init_typical(0.9, 0),
            lib.llama_sampler_init_top_p(0.95, 0),
            lib.llama_sampler_init_min_p(0.02, 0),
            lib.llama_sampler_init_xtc(0.3, 0.1, 0, SEED),
            lib.llama_sampler_init_temp(0.9),
            lib.llama_sampler_init_dist(SEED),
        ],
    ),
    "another order": (
        {
            "temperature": 0.5,
            "top_k": 9,
            "top_p": 0.7,
            "samplers": ("temperature", "top_p", "top_k", "top_p"),
        },
        lambda lib: [
            lib.llama_sampler_init_temp(0.5),
            lib.llama_sampler_init_top_p(0.7, 0),
            lib.llama_sampler_init_top_k(9),
            lib.llama_sampler_init_top_p(0.7, 0),
            lib.llama_sampler_init_dist(SEED),
        ],
    ),
    "no temperature, though it is 0": (
        {"temperature": 0, "top_k": 9, "samplers": ("top_k",)},
        lambda lib: [lib.llama_sampler_init_top_k(9), lib.llama_sampler_init_dist(SEED)],
    ),
    "what truncates comes before temperature 0": (
        {"temperature": 0, "xtc": Xtc(1.0, 0.01)},
        lambda lib: [
            lib.llama_sampler_init_xtc(1.0, 0.01, 0, SEED),
            lib.llama_sampler_init_temp_ext(0.0, 0.0, 1.0),
            lib.llama_sampler_init_dist(SEED),
        ],
    ),
}
NUM_TOKENS = 512


class ByHand:
    """A chain of these samplers, at the place where `RowSampler` looks for one."""

    def __init__(self, library: Library, samplers: list[Any]) -> None:
        self.chain = object.__new__(SamplerChain)
        pointer = library.llama_sampler_chain_init(library.llama_sampler_chain_default_params())
        NativeHandle.__init__(self.chain, pointer, library.llama_sampler_free)
        for sampler in samplers:
            library.llama_sampler_chain_add(pointer, sampler)


def draws(library: Library, chain: SamplerChain, rows: Rows) -> list[int]:
    """One token after each row."""
    sampler = RowSampler(library, 1, 1)
    sampler.assign(0, chain)
    slot = np.zeros(1, np.int32)
    return [int(sampler.sample(row[None], slot)[0]) for row in rows]


def random_rows(count: int, deviation: float = 3.0, size: int = NUM_TOKENS) -> Rows:
    return np.random.default_rng(4).normal(0, deviation, (count, size)).astype(np.float32)


@pytest.mark.parametrize("name", EXTRAS)
def test_it_is_the_chain_that_one_would_put_together_by_hand(
    native: Library, tiny_model: Model, name: str
) -> None:
    params, make = EXTRAS[name]
    rows = random_rows(60)
    found = draws(native, chain_of(tiny_model, seed=SEED, **params), rows)
    assert found == draws(native, ByHand(native, make(native)).chain, rows)
    assert len(set(found)) > 10


@pytest.mark.parametrize("last_n", [-1, 5, 30, CONTEXT, 10**6])
@pytest.mark.parametrize("allowed_length", [0, 1, 2, 4])
def test_dry_looks_back_into_the_prompt(
    native: Library, tiny_model: Model, last_n: int, allowed_length: int
) -> None:
    rng = np.random.default_rng(last_n + 2)
    prompt = rng.integers(260, 262, 50).tolist()
    rows = random_rows(40, 1.0)
    rows[:, 260:262] += 9  # few tokens, so that they make repetitions
    dry = Dry(1.5, 1.2, allowed_length, last_n, (":", "the"))
    chain = chain_of(tiny_model, prompt, seed=SEED, dry=dry)
    window = CONTEXT if last_n < 0 else min(last_n, CONTEXT)
    breakers = (ctypes.c_char_p * 2)(b":", b"the")
    by_hand = native.cria_chain_dry(
        tiny_model.vocab.pointer, 1.5, 1.2, allowed_length, window, breakers, 2
    )
    for token in prompt:
        native.llama_sampler_accept(by_hand, token)
    expected = draws(
        native, ByHand(native, [by_hand, native.llama_sampler_init_dist(SEED)]).chain, rows
    )
    found = draws(native, chain, rows)
    assert found == expected
    if window >= 30:
        assert found != draws(native, chain_of(tiny_model, prompt, seed=SEED), rows)


def test_dry_takes_the_token_that_would_repeat_and_no_breaker(tiny_model: Model) -> None:
    (colon,) = tiny_model.vocab.tokenize(b":", add_special=False, parse_special=False)[-1:]
    for repeated, dry, expected in (
        (12, Dry(4.0), 11),
        (12, Dry(4.0, allowed_length=3), 12),
        (12, Dry(4.0, last_n=0), 12),
        (colon, Dry(4.0), colon),
        (colon, Dry(4.0, sequence_breakers=()), 11),
    ):
        prompt = [20, 21, repeated, 30, 20, 21]
        chain = chain_of(tiny_model, prompt, temperature=0, dry=dry)
        assert apply(tiny_model, chain, {11: 0.0, repeated: 1.0})[1] == expected, dry


def test_chains_with_the_same_dry_are_apart(tiny_model: Model) -> None:
    dry = Dry(4.0)
    first = chain_of(tiny_model, [20, 21, 12, 30, 20, 21], temperature=0, dry=dry)
    second = chain_of(tiny_model, [20, 21], temperature=0, dry=dry)
    assert apply(tiny_model, first, {11: 0.0, 12: 1.0})[1] == 11
    assert apply(tiny_model, second, {11: 0.0, 12: 1.0})[1] == 12


@pytest.mark.parametrize(
    "params",
    [{}, {"typical_p": 0.5}, {"mirostat": Mirostat(1)}, {"mirostat": Mirostat(2)}, {"top_k": 3}],
)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_only_what_is_allowed_is_chosen(
    native: Library, tiny_model: Model, params: dict[str, Any], temperature: float
) -> None:
    allowed = (7, 300, 5)
    chain = chain_of(
        tiny_model, allowed_token_ids=allowed, temperature=temperature, seed=1, **params
    )
    assert set(draws(native, chain, random_rows(200))) <= set(allowed)


def typical(logits: Rows, share: float) -> set[int]:
    """The tokens that locally typical sampling keeps, in double precision."""
    p = np.exp(logits - logits.max())
    p /= p.sum()
    surprise = -np.log(p, where=p > 0, out=np.full(len(p), np.inf))
    order = np.argsort(np.abs(surprise - (p[p > 0] * surprise[p > 0]).sum()))
    size = int(np.searchsorted(np.cumsum(p[order]), share, side="right")) + 1
    return set(order[:size].tolist())


def test_typical_sampling_survives_tokens_that_are_banned(
    native: Library, tiny_model: Model
) -> None:
    row = random_rows(1)[0].astype(np.float64)
    row[[2, 30, 31]] = -math.inf
    row[40] = -500  # a probability that is 0 in single precision
    kept = typical(row, 0.4)
    bias = tuple((token, -100.0) for token in (30, 31))
    chain = chain_of(tiny_model, typical_p=0.4, logit_bias=bias, ignore_eos=True, seed=2)
    found = set(draws(native, chain, np.repeat(row[None].astype(np.float32), 3000, axis=0)))
    assert found <= kept and len(kept) < 100
    assert len(found) > len(kept) / 2


@pytest.mark.parametrize("name", EXTRAS)
def test_where_there_is_no_choice_there_is_no_token(
    native: Library, tiny_model: Model, name: str
) -> None:
    params, _ = EXTRAS[name]
    rows = random_rows(4)
    rows[0] = np.nan
    rows[1] = -math.inf
    rows[2, ::2] = np.nan
    tokens = draws(native, chain_of(tiny_model, seed=SEED, **params), rows)
    assert tokens[:2] == [-1, -1] and tokens[2] % 2 == 1 and tokens[3] >= 0


@pytest.mark.parametrize("exponent", [0, 1, 3, 5, 10, 30, 100])
def test_no_entropy_makes_a_temperature_that_overflows(
    native: Library, tiny_model: Model, exponent: float
) -> None:
    dynamic = DynamicTemperature(1.0, exponent)
    for deviation in (1, 5, 10, 20, 50):
        rows = random_rows(100, deviation) + 5
        found = draws(native, chain_of(tiny_model, seed=1, dynamic_temperature=dynamic), rows)
        assert min(found) >= 0
        if deviation == 50 and exponent > 1:
            assert found == rows.argmax(axis=1).tolist()


@pytest.mark.parametrize("params", [{}, *(params for params, _ in EXTRAS.values())])
def test_the_row_stays_as_it_is(native: Library, tiny_model: Model, params: dict[str, Any]) -> None:
    rows = random_rows(5)
    before = rows.copy()
    draws(native, chain_of(tiny_model, min_tokens=3, seed=1, **params), rows)
    assert (rows == before).all()


@pytest.mark.parametrize("params", [{"temperature": 0}, *(params for params, _ in EXTRAS.values())])
def test_no_end_comes_before_the_least_number_of_tokens(
    native: Library, tiny_model: Model, params: dict[str, Any]
) -> None:
    rows = random_rows(8)
    rows[:, tiny_model.vocab.end_of_generation_ids] = 60.0
    options = {"min_tokens": 5, "seed": 3, "logit_bias": ((2, 100.0),), **params}
    for excludes_the_likeliest in ("xtc", "adaptive_p"):
        options.pop(excludes_the_likeliest, None)
    tokens = draws(native, chain_of(tiny_model, **options), rows)
    ends = [token in tiny_model.vocab.end_of_generation_ids for token in tokens]
    assert ends == [False] * 5 + [True] * 3


SHARES = st.sampled_from([0.0, 1e-6, 0.1, 0.5, 0.999, 1.0])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    params=st.fixed_dictionaries(
        {"seed": st.integers(0, 2**32 - 2)},
        optional={
            "temperature": st.sampled_from([0.0, 1e-5, 0.5, 1.0, 2.0]),
            "top_k": st.sampled_from([0, 1, 5, 400]),
            "top_p": SHARES,
            "min_p": SHARES,
            "typical_p": SHARES,
            "top_n_sigma": st.sampled_from([-1.0, 0.0, 1e-6, 1.0, 1000.0]),
            "min_keep": st.sampled_from([0, 1, 2, 600, 2**31 - 1]),
            "repeat_penalty": st.sampled_from([0.01, 1.0, 100.0]),
            "logit_bias": st.just(((3, 100.0), (4, -100.0))),
            "ignore_eos": st.booleans(),
            "min_tokens": st.sampled_from([0, 3, 2**31 - 1]),
            "allowed_token_ids": st.sampled_from([(7,), (7, 8, 300)]),
            "dry": st.builds(
                Dry,
                multiplier=st.sampled_from([1e-6, 1.0, 100.0]),
                base=st.sampled_from([1.0, 1.75, 100.0]),
                allowed_length=st.sampled_from([0, 2, 2**31 - 1]),
                last_n=st.sampled_from([-1, 0, 1, 2**31 - 1]),
            ),
            "xtc": st.builds(Xtc, probability=SHARES, threshold=st.sampled_from([0.0, 0.1, 0.5])),
            "dynamic_temperature": st.builds(
                DynamicTemperature,
                range=st.sampled_from([1e-6, 1.0, 100.0]),
                exponent=st.sampled_from([0.0, 0.5, 5.0, 100.0]),
            ),
            "mirostat": st.builds(
                Mirostat,
                version=st.sampled_from([1, 2]),
                tau=st.sampled_from([0.0, 5.0, 100.0]),
                eta=st.sampled_from([0.0, 0.1, 10.0]),
            ),
            "adaptive_p": st.builds(
                AdaptiveP, target=SHARES, decay=st.sampled_from([0.0, 0.5, 0.99])
            ),
            "samplers": st.lists(st.sampled_from(SAMPLER_ORDER), max_size=12).map(tuple),
        },
    ),
    deviation=st.sampled_from([0.0, 0.1, 3.0, 50.0]),
)
def test_any_parameters_find_a_token(
    native: Library, tiny_model: Model, params: dict[str, Any], deviation: float
) -> None:
    rows = random_rows(12, deviation)
    chain = chain_of(tiny_model, [5, 6, 7, 5, 6, 7, 5, 6], **params)
    tokens = draws(native, chain, rows)
    assert min(tokens) >= 0
    if "allowed_token_ids" in params:
        assert set(tokens) <= set(params["allowed_token_ids"])
    if "logit_bias" in params:
        assert 4 not in tokens
