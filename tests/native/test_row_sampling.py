"""All rows at once give what llama.cpp's own samplers give, row by row."""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cria.errors import NativeError
from cria.native.batch import Batch
from cria.native.context import Context
from cria.native.direct_sampler import DirectSampler
from cria.native.library import Library
from cria.native.model import Model
from cria.native.row_sampling import LOGPROBS, SLOT, RowSampler, score_rows
from cria.native.sampler import Sampler
from cria.native.sampler_chain import SamplerChain
from cria.native.structs import llama_token_data, llama_token_data_array
from cria.sampling_params import SamplingParams

Logits = npt.NDArray[np.float32]
Twins = Callable[..., tuple[DirectSampler, SamplerChain]]
CONTEXT = 256

SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.7, "top_k": 20},
    {"top_p": 0.8, "min_p": 0.02},
    {"temperature": 0, "repeat_penalty": 1.2},
    {"temperature": 1.3, "presence_penalty": 0.5, "frequency_penalty": 0.3},
    {"logit_bias": ((7, 4.0), (9, -100.0)), "ignore_eos": True},
]


@pytest.fixture
def twins(tiny_model: Model) -> Twins:
    """A direct sampler and a chain with the same parameters."""

    def make(prompt: list[int], **params: Any) -> tuple[DirectSampler, SamplerChain]:
        values = SamplingParams(**params)
        return (
            DirectSampler(tiny_model.vocab, values, prompt, CONTEXT),
            SamplerChain(tiny_model.vocab, values, prompt, CONTEXT),
        )

    return make


def rows_of(
    library: Library, samplers: list[Any], num_threads: int = 2, num_logprobs: int | None = None
) -> RowSampler:
    """One slot for each sampler."""
    rows = RowSampler(library, len(samplers), num_threads)
    for slot, sampler in enumerate(samplers):
        rows.assign(slot, sampler, num_logprobs)
    return rows


def sample(rows: RowSampler, logits: Logits) -> list[int]:
    """The tokens of slots 0, 1, 2 ..."""
    tokens: list[int] = rows.sample(logits, np.arange(len(logits), dtype=np.int32)).tolist()
    return tokens


def normal(rng: np.random.Generator, deviation: float, *shape: int) -> Logits:
    return rng.normal(0, deviation, shape).astype(np.float32)


def one_by_one(model: Model, chain: SamplerChain, row: Logits) -> int:
    """What `llama_sampler_sample` does: apply to all candidates, accept the choice."""
    data = (llama_token_data * len(row))(*[(t, v, 0.0) for t, v in enumerate(row)])
    array = llama_token_data_array(data=data, size=len(row), selected=-1, sorted=False)
    model.library.llama_sampler_apply(chain.pointer, ctypes.byref(array))
    token = int(array.data[array.selected].id)
    model.library.llama_sampler_accept(chain.pointer, token)
    return token


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_seeded_choices_are_those_of_llama_cpp(
    native: Library, tiny_model: Model, twins: Twins, num_threads: int
) -> None:
    rng, num_rows = np.random.default_rng(num_threads), 12
    pairs = [twins([1, 2, 3], seed=s, **SETTINGS[s % len(SETTINGS)]) for s in range(num_rows)]
    others = [twins([1, 2, 3], seed=s, **SETTINGS[s % len(SETTINGS)]) for s in range(num_rows)]
    direct = rows_of(native, [pair[0] for pair in pairs], num_threads)
    chains = rows_of(native, [pair[1] for pair in pairs], num_threads)
    for _ in range(20):
        logits = normal(rng, 3, num_rows, tiny_model.vocab.num_tokens)
        expected = [
            one_by_one(tiny_model, chain, row)
            for (_, chain), row in zip(others, logits, strict=True)
        ]
        assert sample(direct, logits) == sample(chains, logits) == expected


def differences(
    native: Library, pairs: list[tuple[DirectSampler, SamplerChain]], logits: list[Logits]
) -> int:
    """How many tokens the two differ in; logits [num_pairs, vocab_size] for each step."""
    direct = rows_of(native, [pair[0] for pair in pairs])
    chains = rows_of(native, [pair[1] for pair in pairs])
    both = [
        pair
        for step in logits
        for pair in zip(sample(direct, step), sample(chains, step), strict=True)
    ]
    return sum(one != other for one, other in both)


@pytest.mark.parametrize("vocab_size", [1, 2, 1000, 1024, 1025, 50_001])
@pytest.mark.parametrize("temperature", [0.1, 0.8, 1.0, 2.0])
@pytest.mark.parametrize(("top_p", "min_p"), [(1, 0), (0.9, 0), (0.3, 0), (1, 0.05), (0.95, 0.1)])
def test_truncation_chooses_as_the_chain_of_llama_cpp(
    native: Library, twins: Twins, top_p: float, min_p: float, temperature: float, vocab_size: int
) -> None:
    rng = np.random.default_rng(vocab_size)
    params = {"temperature": temperature, "top_p": top_p, "min_p": min_p}
    pairs = [twins([], seed=seed, **params) for seed in range(4)]
    found = differences(native, pairs, [normal(rng, 4, 4, vocab_size) for _ in range(5)])
    # llama.cpp adds a nucleus of thousands up in single precision, and may end it elsewhere; the
    # test below shows which of the two is right.
    assert found <= (5 if vocab_size > 10_000 and top_p < 1 else 0)


@pytest.mark.parametrize("vocab_size", [1, 30, 1000, 5000, 50_001])
@pytest.mark.parametrize("top_k", [1, 2, 40, 1000, 10**6])
@pytest.mark.parametrize(("top_p", "min_p"), [(1, 0), (0.95, 0.05), (0.5, 0), (1, 0.3)])
def test_top_k_chooses_as_the_chain_of_llama_cpp(
    native: Library, twins: Twins, top_p: float, min_p: float, top_k: int, vocab_size: int
) -> None:
    rng = np.random.default_rng(vocab_size + top_k)
    params = {"temperature": 0.8, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    pairs = [twins([], seed=seed, **params) for seed in range(8)]
    logits = [normal(rng, deviation, 8, vocab_size) for deviation in (0.5, 3, 3, 8)]
    # As above, and there are fewer different floats than tokens: equal ones come in any order.
    assert differences(native, pairs, logits) <= (4 if min(top_k, vocab_size) > 4000 else 0)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    params=st.fixed_dictionaries(
        {"seed": st.integers(0, 2**32 - 2)},
        optional={
            "temperature": st.sampled_from([0.0, 0.2, 1.0, 1.7]),
            "top_k": st.integers(0, 50),
            "top_p": st.sampled_from([0.3, 0.9, 1.0]),
            "min_p": st.sampled_from([0.0, 0.1]),
            "repeat_penalty": st.sampled_from([0.5, 1.0, 1.3]),
            "repeat_last_n": st.sampled_from([-1, 0, 1, 3, 10, 64, 10_000]),
            "presence_penalty": st.sampled_from([-1.0, 0.0, 0.7]),
            "frequency_penalty": st.sampled_from([-0.3, 0.0, 1.1]),
            "logit_bias": st.sampled_from([((3, 5.0), (4, -100.0))]),
            "ignore_eos": st.booleans(),
        },
    ),
    prompt=st.lists(st.integers(0, 29), max_size=30),
)
def test_any_parameters_choose_as_the_chain_of_llama_cpp(
    native: Library, twins: Twins, params: dict[str, Any], prompt: list[int]
) -> None:
    rng = np.random.default_rng(params["seed"])
    # Few tokens, so that they come again.
    logits = [normal(rng, 2, 1, 30) for _ in range(40)]
    assert differences(native, [twins(prompt, **params)], logits) == 0


@pytest.mark.parametrize("last_n", [-1, 1, 7, 64, CONTEXT, 10**6])
def test_penalties_look_back_as_far_as_those_of_llama_cpp(
    native: Library, twins: Twins, last_n: int
) -> None:
    rng = np.random.default_rng(5)
    prompt = rng.integers(0, 500, CONTEXT - 50).tolist()
    params = {"temperature": 0.0, "repeat_penalty": 2.0, "repeat_last_n": last_n}
    pairs = [twins(prompt, **params), twins(prompt, **params, frequency_penalty=0.2)]
    # Prompt and steps together are more than any window has tokens.
    assert differences(native, pairs, [normal(rng, 1, 2, 500) for _ in range(CONTEXT)]) == 0


def test_penalties_survive_tokens_that_are_not_in_the_row(native: Library, twins: Twins) -> None:
    direct, _ = twins([-1, 5, 10**6], seed=1, repeat_penalty=2.0, logit_bias=((-3, 1.0),))
    assert sample(rows_of(native, [direct]), np.zeros((1, 6), np.float32))[0] in range(6)


def test_a_wide_nucleus_is_the_one_of_double_precision(native: Library, twins: Twins) -> None:
    logits = normal(np.random.default_rng(7), 1, 1, 50_001)
    weights = np.exp(logits[0].astype(np.float64))
    order = np.argsort(-weights)
    size = 1 + int(np.searchsorted(np.cumsum(weights[order]), 0.9 * weights.sum()))
    nucleus = set(order[:size].tolist())
    assert 5000 < size < 50_000
    rows = rows_of(native, [twins([], seed=1, temperature=2.0, top_p=0.9)[0]])
    assert {sample(rows, logits)[0] for _ in range(3000)} <= nucleus


THREE = np.full((1, 3000), -60.0, np.float32)
THREE[0, [5, 1500, 2999]] = np.log([0.6, 0.3, 0.1])


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        ({"top_p": 0.8}, {5, 1500}),
        ({"top_p": 0.5}, {5}),
        ({"min_p": 0.4}, {5, 1500}),
        ({"top_k": 2}, {5, 1500}),
        ({"top_k": 1}, {5}),
        ({"top_k": 3, "top_p": 0.8}, {5, 1500}),
        # Two thirds of what top-k leaves, and not of all.
        ({"top_k": 2, "top_p": 0.66}, {5}),
        ({"top_k": 3, "min_p": 0.4}, {5, 1500}),
    ],
)
def test_truncation_keeps(
    native: Library, twins: Twins, params: dict[str, float], kept: set[int]
) -> None:
    rows = rows_of(native, [twins([], seed=1, temperature=2.0, **params)[0]])
    assert {sample(rows, THREE)[0] for _ in range(400)} == kept


@pytest.mark.parametrize("params", [{}, {"top_k": 3}, {"top_p": 0.999}, {"min_p": 0.01}])
def test_the_choices_follow_the_distribution(
    native: Library, twins: Twins, params: dict[str, float]
) -> None:
    rows = rows_of(native, [twins([], seed=seed, **params)[0] for seed in range(4)])
    logits = np.repeat(THREE, 4, axis=0)
    draws = Counter(token for _ in range(2500) for token in sample(rows, logits))
    shares = {5: 0.6, 1500: 0.3, 2999: 0.1}
    chi_square = sum((draws[t] - 10_000 * p) ** 2 / (10_000 * p) for t, p in shares.items())
    assert set(draws) == set(shares) and chi_square < 13.8  # 1 in 1,000 for 2 degrees of freedom


@pytest.mark.parametrize("vocab_size", [7, 3000])
def test_of_equal_logits_top_k_keeps_the_lower_ids(
    native: Library, twins: Twins, vocab_size: int
) -> None:
    rows = rows_of(native, [twins([], seed=1, top_k=3)[0]])
    logits = np.zeros((1, vocab_size), np.float32)
    logits[0, 5] = 1
    assert {sample(rows, logits)[0] for _ in range(200)} == {5, 0, 1}


@pytest.mark.parametrize("params", [{}, {"top_k": 5}, {"top_p": 0.5}, {"min_p": 0.5}])
def test_logits_that_are_no_numbers_have_no_choice(
    native: Library, twins: Twins, params: dict[str, float]
) -> None:
    logits = np.full((3, 2000), np.nan, np.float32)
    logits[1] = 0
    logits[2, [7, 1999]] = 1
    rows = rows_of(native, [twins([], seed=3, **params)[0] for _ in range(3)])
    for _ in range(20):
        tokens = sample(rows, logits)
        assert tokens[0] == -1 and tokens[1] >= 0 and tokens[2] in (7, 1999)


@pytest.mark.parametrize("vocab_size", [1, 31, 32, 1000, 1023, 1024, 1025, 50_001])
def test_without_a_sampler_the_first_maximum_is_chosen(native: Library, vocab_size: int) -> None:
    logits = np.random.default_rng(0).integers(0, 300, (5, vocab_size)).astype(np.float32)
    rows = RowSampler(native, 8, 3)
    assert sample(rows, logits) == logits.argmax(axis=1).tolist()
    logits[:] = -np.inf
    assert sample(rows, logits) == [-1] * 5


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_biases_choose_as_the_chain_of_llama_cpp(
    native: Library, tiny_model: Model, twins: Twins, temperature: float
) -> None:
    rng = np.random.default_rng(3)
    bias = tuple((token, float(token % 7) - 3) for token in range(0, 500, 3)) + ((7, -100.0),)
    pair = twins([], temperature=temperature, seed=9, logit_bias=bias, ignore_eos=True)
    logits = [normal(rng, 3, 1, tiny_model.vocab.num_tokens) for _ in range(50)]
    assert differences(native, [pair], logits) == 0


@pytest.mark.parametrize(
    "params", [{}, {"temperature": 0.0}, {"top_p": 0.5}, {"min_p": 0.1}, {"top_k": 9}]
)
def test_a_row_without_a_choice_spoils_no_other(
    native: Library, tiny_model: Model, twins: Twins, params: dict[str, float]
) -> None:
    logits = normal(np.random.default_rng(1), 1, 2, tiny_model.vocab.num_tokens)
    ban_all = tuple((token, -100.0) for token in range(tiny_model.vocab.num_tokens))
    banned, _ = twins([], seed=1, logit_bias=ban_all, **params)
    assert sample(rows_of(native, [banned, None]), logits) == [-1, int(logits[1].argmax())]


def test_banned_tokens_are_never_chosen(native: Library, tiny_model: Model, twins: Twins) -> None:
    allowed = {5, 300}
    bans = tuple((t, -100.0) for t in range(tiny_model.vocab.num_tokens) if t not in allowed)
    rows = rows_of(native, [twins([], seed=2, logit_bias=bans)[0]])
    logits = np.zeros((1, tiny_model.vocab.num_tokens), np.float32)
    assert {sample(rows, logits)[0] for _ in range(300)} == allowed
    assert not logits.any()  # the row is as it was


def test_rows_of_a_real_decode(context: Context, twins: Twins, native: Library) -> None:
    batch = Batch(64)
    batch.append([5, 6], 0, 0, output=True)
    batch.append([90, 91], 0, 1, output=True)
    context.decode(batch)
    logits = context.logits(2)
    greedy, _ = twins([], temperature=0, repeat_penalty=1.0001)
    assert sample(rows_of(native, [None, greedy]), logits) == logits.argmax(axis=1).tolist()


class TestLogprobs:
    @pytest.mark.parametrize("vocab_size", [1, 15, 1000, 50_001, 151_936])
    @pytest.mark.parametrize("deviation", [0.1, 4.0, 30.0])
    def test_they_are_those_of_double_precision(
        self, native: Library, twins: Twins, vocab_size: int, deviation: float
    ) -> None:
        logits = normal(np.random.default_rng(2), deviation, 2, vocab_size)
        exact = logits.astype(np.float64)
        exact -= exact.max(axis=1, keepdims=True)
        exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))
        rows = rows_of(native, [None, twins([], seed=1)[0]], num_logprobs=20)
        for row, token in enumerate(sample(rows, logits)):
            found = rows.logprobs(row)
            assert found is not None
            assert found.logprob == pytest.approx(exact[row, token], rel=1e-6, abs=1e-5)
            order = np.lexsort((np.arange(vocab_size), -logits[row]))[:20]
            assert [token for token, _ in found.top] == order.tolist()
            values = [value for _, value in found.top]
            assert values == pytest.approx(exact[row, order].tolist(), rel=1e-6, abs=1e-5)

    def test_they_are_the_models_own(self, native: Library, twins: Twins) -> None:
        direct, _ = twins(
            [1500], temperature=0.1, logit_bias=((2999, 9.0),), repeat_penalty=1.5, top_k=1
        )
        rows = rows_of(native, [direct], num_logprobs=2)
        assert sample(rows, THREE) == [2999]
        found = rows.logprobs(0)
        assert found is not None and found.logprob == pytest.approx(np.log(0.1), abs=1e-5)
        assert found.top == [
            (5, pytest.approx(np.log(0.6), abs=1e-5)),
            (1500, pytest.approx(np.log(0.3), abs=1e-5)),
        ]

    def test_equal_ones_come_by_id(self, native: Library) -> None:
        rows = rows_of(native, [None], num_logprobs=3)
        sample(rows, np.zeros((1, 2000), np.float32))
        found = rows.logprobs(0)
        assert found is not None and [token for token, _ in found.top] == [0, 1, 2]

    def test_only_who_asked_gets_them(self, native: Library) -> None:
        rows = RowSampler(native, 3, 2)
        rows.assign(0, None, 0)
        rows.assign(2, None, 50)  # more than there is room for
        sample(rows, np.repeat(THREE, 3, axis=0))
        first, second, third = (rows.logprobs(row) for row in range(3))
        assert first is not None and first.top == []
        assert first.logprob == pytest.approx(np.log(0.6), abs=1e-5)
        assert second is None
        assert third is not None and len(third.top) == 20
        rows.assign(0, None)
        sample(rows, THREE)
        assert rows.logprobs(0) is None
        with pytest.raises(IndexError):
            rows.logprobs(1)

    def test_without_a_choice_there_are_none(self, native: Library) -> None:
        rows = rows_of(native, [None], num_logprobs=3)
        assert sample(rows, np.full((1, 50), np.nan, np.float32)) == [-1]
        assert rows.logprobs(0) is None


class TestScoreRows:
    @pytest.mark.parametrize("vocab_size", [50, 3000])
    def test_they_are_a_direct_softmax(self, native: Library, vocab_size: int) -> None:
        rng = np.random.default_rng(3)
        logits = normal(rng, 3.0, 40, vocab_size)
        targets = rng.integers(0, vocab_size, 40).astype(np.int32)
        exact = logits.astype(np.float64)
        exact -= exact.max(axis=1, keepdims=True)
        exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))
        found = score_rows(native, logits, targets, 2)
        expected = exact[np.arange(40), targets].tolist()
        assert [entry.logprob for entry in found] == pytest.approx(expected, abs=1e-5)
        for entry, row in zip(found, logits, strict=True):
            assert [token for token, _ in entry.top] == np.argsort(-row)[:2].tolist()

    def test_the_most_likely_token_has_one_number(self, native: Library) -> None:
        (entry,) = score_rows(native, THREE, np.array([5], np.int32), 1)
        assert entry.top == [(5, entry.logprob)], "evaluation harnesses compare the two"

    @pytest.mark.parametrize("target", [-1, THREE.shape[1]])
    def test_a_target_outside_the_vocabulary(self, native: Library, target: int) -> None:
        with pytest.raises(NativeError, match="a target is not in"):
            score_rows(native, THREE, np.array([target], np.int32), 0)

    def test_one_target_a_row(self, native: Library) -> None:
        with pytest.raises(ValueError, match="1 rows of 2 targets"):
            score_rows(native, THREE, np.array([1, 2], np.int32), 0)


def only(vocab_size: int, *tokens: int) -> npt.NDArray[np.int32]:
    """The set of these tokens, as bits."""
    bits = np.zeros(-(-vocab_size // 32) * 32, np.uint8)
    bits[list(tokens)] = 1
    return np.packbits(bits, bitorder="little").view(np.int32)


SLOT_0 = np.zeros(1, np.int32)


class TestProposals:
    @pytest.mark.parametrize("number", [0, 1, None])
    def test_another_choice_is_among_what_is_allowed(
        self, native: Library, twins: Twins, number: int | None
    ) -> None:
        sampler = None if number is None else twins([], temperature=0.0)[number]
        rows = RowSampler(native, 1, 1)
        rows.assign(0, sampler, 1, proposes=True)
        logits = THREE.copy()
        assert sample(rows, logits) == [5]
        assert rows.propose_again(0, logits[0], 0, only(3000, 7, 1500, 2999)) == 1500
        found = rows.logprobs(0)
        assert found is not None and found.logprob == pytest.approx(np.log(0.3), abs=1e-5)
        assert found.top == [(5, pytest.approx(np.log(0.6), abs=1e-5))], "the model's own"
        assert rows.propose_again(0, logits[0], 0, only(3000)) == -1
        assert rows.logprobs(0) is None
        assert (logits == THREE).all()

    @pytest.mark.parametrize("number", [0, 1])
    def test_penalties_count_what_was_accepted_and_that_once(
        self, native: Library, twins: Twins, number: int
    ) -> None:
        params = {"temperature": 0.0, "frequency_penalty": 1.0}
        rows = RowSampler(native, 1, 1)
        rows.assign(0, twins([], **params)[number], proposes=True)
        logits = np.array([[2.5, 2.0, 0.0]], np.float32)
        assert [sample(rows, logits) for _ in range(3)] == [[0]] * 3, "none of them counts"
        assert rows.propose_again(0, logits[0], 0, only(3, 1, 2)) == 1
        rows.accept(SLOT_0, np.array([1]))
        assert rows.propose_again(0, logits[0], 0, only(3, 1, 2)) == 1, "2 - 1 > 0"
        rows.accept(SLOT_0, np.array([1]))
        assert rows.propose_again(0, logits[0], 0, only(3, 1, 2)) in (1, 2)
        rows.accept(SLOT_0, np.array([1]))
        assert rows.propose_again(0, logits[0], 0, only(3, 1, 2)) == 2
        assert sample(rows, logits) == [0], "it was proposed often, and never accepted"

    @pytest.mark.parametrize("number", [0, 1])
    def test_only_accepted_tokens_bring_the_end_nearer(
        self, native: Library, tiny_model: Model, twins: Twins, number: int
    ) -> None:
        end = tiny_model.vocab.end_of_generation_ids[0]
        rows = RowSampler(native, 1, 1)
        rows.assign(0, twins([], temperature=0.0, min_tokens=2)[number], proposes=True)
        logits = np.zeros((1, tiny_model.vocab.num_tokens), np.float32)
        logits[0, end], logits[0, 7] = 50, 20
        assert [sample(rows, logits) for _ in range(4)] == [[7]] * 4
        rows.accept(SLOT_0, np.array([7]))
        rows.accept(SLOT_0, np.array([-1]))  # nothing was chosen
        assert sample(rows, logits) == [7]
        rows.accept(SLOT_0, np.array([7]))
        assert sample(rows, logits) == [end]

    def test_the_others_accept_by_themselves(self, native: Library, twins: Twins) -> None:
        rows = RowSampler(native, 2, 1)
        params = {"temperature": 0.0, "frequency_penalty": 1.0}
        rows.assign(0, twins([], **params)[0], proposes=True)
        rows.assign(1, twins([], **params)[0])
        logits = np.repeat(np.array([[1.5, 1.0]], np.float32), 2, axis=0)
        assert [sample(rows, logits) for _ in range(2)] == [[0, 0], [0, 1]]

    def test_a_slot_that_is_not_there(self, native: Library) -> None:
        rows = RowSampler(native, 1, 1)
        with pytest.raises(NativeError, match="slot"):
            rows.accept(np.array([1]), np.array([0]))


class TestSlots:
    def test_a_row_is_sampled_as_its_slot_says(self, native: Library, twins: Twins) -> None:
        lowest, _ = twins([], temperature=0, logit_bias=((3, 100.0),))
        rows = RowSampler(native, 4, 2)
        rows.assign(2, lowest)
        logits = np.repeat(THREE, 3, axis=0)
        assert rows.sample(logits, np.array([2, 0, 3], np.int32)).tolist() == [3, 5, 5]
        rows.assign(2, None)
        assert rows.sample(logits, np.array([0, 1, 2], np.int32)).tolist() == [5, 5, 5]

    def test_a_slot_keeps_its_sampler_until_it_gets_another(
        self, native: Library, twins: Twins
    ) -> None:
        rows = RowSampler(native, 1, 1)
        sampler: Sampler = twins([], seed=1)[0]
        alive = weakref.ref(sampler)
        rows.assign(0, sampler)
        del sampler
        gc.collect()
        assert alive() is not None
        rows.assign(0, None)
        gc.collect()
        assert alive() is None

    @pytest.mark.parametrize("slots", [[0, 0], [0, 2], [-1, 0]])
    def test_a_slot_that_is_missing_or_comes_twice_fails(
        self, native: Library, slots: list[int]
    ) -> None:
        rows = RowSampler(native, 2, 2)
        with pytest.raises(NativeError, match="slot"):
            rows.sample(np.zeros((2, 50), np.float32), np.array(slots, np.int32))

    def test_each_row_needs_a_slot(self, native: Library) -> None:
        with pytest.raises(ValueError, match="2 rows of 1 slots"):
            RowSampler(native, 2, 2).sample(np.zeros((2, 50), np.float32), np.zeros(1, np.int32))

    def test_any_memory_layout_will_do(self, native: Library) -> None:
        logits = normal(np.random.default_rng(0), 1, 6, 100)
        slots = np.array([0, 9, 1, 9, 2, 9])[::2]
        tokens = RowSampler(native, 3, 1).sample(logits[::2], slots)  # type: ignore[arg-type]
        assert tokens.tolist() == logits[::2].argmax(axis=1).tolist()

    def test_the_mirrors_have_the_sizes_of_the_structs(self) -> None:
        assert (SLOT.itemsize, LOGPROBS.itemsize) == (24, 168)


def test_many_short_steps_with_more_threads_than_cores(native: Library) -> None:
    """Threads wake late, or not at all, while others are at the next step already."""
    rng = np.random.default_rng(0)
    rows = RowSampler(native, 16, 8)
    for step in range(3000):
        logits = normal(rng, 1, 1 + step % 16, 64)
        assert sample(rows, logits) == logits.argmax(axis=1).tolist()
