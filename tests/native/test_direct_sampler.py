"""What is Cria's own in it; that it chooses as a chain does is in `test_row_sampling.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cria.native.direct_sampler import DirectSampler, last_tokens, look_back, seed_of
from cria.native.library import Library
from cria.native.model import Model
from cria.native.row_sampling import RowSampler
from cria.sampling_params import SamplingParams

CONTEXT = 64


@pytest.mark.parametrize(
    ("last_n", "expected"), [(-1, CONTEXT), (0, 0), (5, 5), (CONTEXT, CONTEXT), (10**6, CONTEXT)]
)
def test_nobody_looks_back_further_than_the_context(last_n: int, expected: int) -> None:
    assert look_back(last_n, CONTEXT) == expected


@pytest.mark.parametrize(("count", "expected"), [(0, []), (2, [5, 6]), (9, [4, 5, 6])])
def test_the_end_of_a_prompt(count: int, expected: list[int]) -> None:
    assert last_tokens([4, 5, 6], count).tolist() == expected
    assert last_tokens(np.array([4, 5, 6], np.int32), count).tolist() == expected


def test_a_seed_is_taken_and_else_drawn() -> None:
    assert seed_of(SamplingParams(seed=0)) == 0
    assert len({seed_of(SamplingParams()) for _ in range(20)}) > 10


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0},
        {"temperature": 0, "logit_bias": ((2, 100.0),)},
        {"seed": 1},
        {"seed": 1, "top_k": 5, "repeat_penalty": 1.5},
        {"seed": 1, "top_p": 0.9, "presence_penalty": 2.0},
    ],
)
@pytest.mark.parametrize("min_tokens", [0, 1, 5, 20])
def test_no_end_comes_before_the_least_number_of_tokens(
    native: Library, tiny_model: Model, params: dict[str, Any], min_tokens: int
) -> None:
    ends = tiny_model.vocab.end_of_generation_ids
    values = SamplingParams(min_tokens=min_tokens, **params)
    rows = RowSampler(native, 1, 1)
    rows.assign(0, DirectSampler(tiny_model.vocab, values, [], CONTEXT))
    logits = np.random.default_rng(2).normal(0, 2, (1, 512)).astype(np.float32)
    logits[0, ends] = 60.0
    before = logits.copy()
    tokens = [int(rows.sample(logits, np.zeros(1, np.int32))[0]) for _ in range(10)]
    assert [token in ends for token in tokens] == [step >= min_tokens for step in range(10)]
    assert (logits == before).all()


def test_a_step_without_a_choice_does_not_count(native: Library, tiny_model: Model) -> None:
    ends = tiny_model.vocab.end_of_generation_ids
    rows = RowSampler(native, 1, 1)
    params = SamplingParams(temperature=0, min_tokens=1)
    rows.assign(0, DirectSampler(tiny_model.vocab, params, [], CONTEXT))
    logits = np.full((1, 512), -np.inf, np.float32)
    logits[0, ends[0]] = 1.0
    assert [int(rows.sample(logits, np.zeros(1, np.int32))[0]) for _ in range(2)] == [-1, -1]
