"""All rows at once give what llama.cpp's own samplers give, row by row."""

from __future__ import annotations

import ctypes
from collections import Counter
from typing import Any

import numpy as np
import pytest

from cria.native.batch import Batch
from cria.native.context import Context
from cria.native.library import Library
from cria.native.model import Model
from cria.native.row_sampling import RowSampler
from cria.native.sampler import SamplerChain
from cria.native.structs import llama_token_data, llama_token_data_array
from cria.sampling_params import SamplingParams

SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.7, "top_k": 20},
    {"top_p": 0.8, "min_p": 0.02},
    {"temperature": 0, "repeat_penalty": 1.2},
    {"temperature": 1.3, "presence_penalty": 0.5, "frequency_penalty": 0.3},
    {"logit_bias": ((7, 4.0), (9, -100.0)), "ignore_eos": True},
]


def make_chain(model: Model, seed: int) -> SamplerChain:
    settings = SETTINGS[seed % len(SETTINGS)]
    return SamplerChain(model.vocab, SamplingParams(seed=seed, **settings), [1, 2, 3], 256)


def one_by_one(model: Model, chain: SamplerChain, row: np.ndarray) -> int:
    """What `llama_sampler_sample` does: apply to all candidates, accept the choice."""
    data = (llama_token_data * len(row))(*[(t, v, 0.0) for t, v in enumerate(row)])
    array = llama_token_data_array(data=data, size=len(row), selected=-1, sorted=False)
    model.library.llama_sampler_apply(chain.pointer, ctypes.byref(array))
    token = int(array.data[array.selected].id)
    model.library.llama_sampler_accept(chain.pointer, token)
    return token


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_seeded_choices_are_those_of_llama_cpp(
    native: Library, tiny_model: Model, num_threads: int
) -> None:
    rng, num_rows = np.random.default_rng(num_threads), 12
    vocab_size = tiny_model.vocab.num_tokens
    sampler = RowSampler(native, num_rows, num_threads)
    chains = [make_chain(tiny_model, seed) for seed in range(num_rows)]
    twins = [make_chain(tiny_model, seed) for seed in range(num_rows)]
    for _ in range(20):
        logits = rng.normal(0, 3, (num_rows, vocab_size)).astype(np.float32)
        expected = [
            one_by_one(tiny_model, twin, row) for twin, row in zip(twins, logits, strict=True)
        ]
        assert sampler.sample(logits, chains) == expected


def test_without_a_chain_the_maximum_is_chosen(native: Library) -> None:
    logits = np.random.default_rng(0).normal(size=(5, 1000)).astype(np.float32)
    tokens = RowSampler(native, 8, 3).sample(logits, [None] * 5)
    assert tokens == logits.argmax(axis=1).tolist()


def test_the_choices_follow_the_distribution(native: Library, tiny_model: Model) -> None:
    logits = np.full((4, tiny_model.vocab.num_tokens), -30.0, np.float32)
    logits[:, [5, 6, 7]] = np.log([0.6, 0.3, 0.1])
    sampler = RowSampler(native, 4, 2)
    chains = [SamplerChain(tiny_model.vocab, SamplingParams(seed=s), [], 64) for s in range(4)]
    draws = Counter(token for _ in range(1000) for token in sampler.sample(logits, chains))
    for token, share in ((5, 0.6), (6, 0.3), (7, 0.1)):
        assert draws[token] / 4000 == pytest.approx(share, abs=0.03)


def test_a_row_without_a_choice_spoils_no_other(native: Library, tiny_model: Model) -> None:
    logits = np.random.default_rng(1).normal(size=(2, tiny_model.vocab.num_tokens))
    logits = logits.astype(np.float32)
    ban_all = tuple((token, -100.0) for token in range(tiny_model.vocab.num_tokens))
    banned = SamplerChain(
        tiny_model.vocab, SamplingParams(temperature=0.5, seed=1, logit_bias=ban_all), [], 64
    )
    tokens = RowSampler(native, 2, 2).sample(logits, [banned, None])
    assert tokens[1] == int(logits[1].argmax())


def test_rows_of_a_real_decode(context: Context, tiny_model: Model, native: Library) -> None:
    batch = Batch(64)
    batch.append([5, 6], 0, 0, output=True)
    batch.append([90, 91], 0, 1, output=True)
    context.decode(batch)
    logits = context.logits(2)
    greedy = SamplerChain(
        tiny_model.vocab, SamplingParams(temperature=0, repeat_penalty=1.0001), [], 64
    )
    tokens = RowSampler(native, 4, 2).sample(logits, [None, greedy])
    assert tokens == logits.argmax(axis=1).tolist()
