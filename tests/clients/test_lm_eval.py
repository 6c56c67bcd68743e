"""The evaluation harness: its numbers are those of the model itself.

Its own ways to a vocabulary are a hub on the network or routes beside the API; here it is handed
the one in the model's file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from tests.clients.marks import CLIENT
from tests.raw_model import RawModel

pytestmark = CLIENT

PAIRS = (
    ("Once upon a time", ", there was a little girl"),
    ("The capital of France is", " Paris"),
    ("The capital of France is", " Berlin"),
    ("Question: is water wet?\nAnswer:", " no"),
    ("", "Hello world"),
    ("1 2 3 4 5 6", " 7 8 9"),
)
WINDOW = 32
"""So that the text below takes several."""
TEXT = (
    "The harness sums what each token of a text costs, in windows that do not overlap: every token "
    "counts once, and each but the first window begins with what the one before it ended with. "
    "Whoever compares models by perplexity needs exactly these numbers."
)
TOLERANCE = 1e-3


class Vocabulary:
    """The model's own, in the shape of the ones that the harness fetches."""

    def __init__(self, raw: RawModel) -> None:
        self.encode = raw.tokenize
        # What it puts before a text that has nothing before it.
        self.eot_token = raw.bos_id

    def encode_batch(self, texts: tuple[str, ...]) -> list[list[int]]:
        return [self.encode(text) for text in texts]


@pytest.fixture(scope="module")
def raw(default_model: Path) -> RawModel:
    return RawModel(default_model)


def log_likelihood(
    raw: RawModel, context: list[int], continuation: list[int]
) -> tuple[float, bool]:
    """The continuation's log probability, and whether it is the greedy one."""
    rows = raw.log_softmax(context + continuation[:-1])[len(context) - 1 :]
    total = sum(row[token] for row, token in zip(rows, continuation, strict=True))
    return float(total), rows.argmax(axis=1).tolist() == continuation


def harness(base_url: str, raw: RawModel, **options: Any) -> LocalCompletionsAPI:
    """The class of `--model local-completions`, with the model's vocabulary."""
    api = LocalCompletionsAPI(
        base_url=f"{base_url}/completions",
        model="smollm2",
        tokenizer_backend=None,
        eos_string="<|im_end|>",
        max_retries=1,
        **options,
    )
    # The kind of vocabulary that is an object with `encode` and `eot_token`.
    api.tokenizer, api.tokenizer_backend = Vocabulary(raw), "tiktoken"
    api.tokenized_requests = True
    return api


def instances(kind: str, *arguments: tuple[Any, ...]) -> list[Instance]:
    return [Instance(kind, {}, each, index) for index, each in enumerate(arguments)]


@pytest.mark.parametrize(
    "options",
    [{}, {"batch_size": 4}, {"num_concurrent": 3}],
    ids=["one by one", "in batches", "at the same time"],
)
def test_log_likelihood(base_url: str, raw: RawModel, options: dict[str, int]) -> None:
    api = harness(base_url, raw, **options)
    found = api.loglikelihood(instances("loglikelihood", *PAIRS), disable_tqdm=True)
    wanted = [
        log_likelihood(raw, *api._encode_pair(context, continuation))
        if context
        else log_likelihood(raw, [raw.bos_id], raw.tokenize(continuation))
        for context, continuation in PAIRS
    ]
    assert [number for number, _ in found] == pytest.approx([n for n, _ in wanted], abs=TOLERANCE)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in wanted]
    assert {greedy for _, greedy in wanted} == {True, False}, "the pairs show both"


def test_log_likelihood_of_a_text_in_windows(base_url: str, raw: RawModel) -> None:
    api = harness(base_url, raw, max_length=WINDOW)
    found = api.loglikelihood_rolling(
        instances("loglikelihood_rolling", (TEXT,)), disable_tqdm=True
    )
    windows = [
        make_disjoint_window(window)
        for window in get_rolling_token_windows(
            token_list=raw.tokenize(TEXT),
            prefix_token=raw.bos_id,
            max_seq_len=api.max_length - 1,
            context_len=1,
        )
    ]
    assert len(windows) > 1
    wanted = sum(log_likelihood(raw, *window)[0] for window in windows)
    assert found == [pytest.approx(wanted, abs=TOLERANCE * len(windows))]


def test_generation(base_url: str, raw: RawModel, story: str) -> None:
    """Tokens in, text out, up to a stop string."""
    api = harness(base_url, raw)
    arguments = {"until": ["\n\n\n"], "max_gen_toks": 8, "temperature": 0, "do_sample": False}
    requests = instances("generate_until", ("Once upon a time", arguments))
    assert api.generate_until(requests, disable_tqdm=True) == [story]
    word = story.split()[2]
    stopped = instances("generate_until", ("Once upon a time", {**arguments, "until": [word]}))
    assert api.generate_until(stopped, disable_tqdm=True) == [story.partition(word)[0]]
