"""The evaluation harness, as `lm_eval` uses it: its numbers are those of the model itself."""

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


def tokens_of(raw: RawModel, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Tokenised together; a beginning stands before what has nothing before it."""
    if not context:
        assert raw.bos_id is not None
        return [raw.bos_id], raw.tokenize(continuation)
    before = raw.tokenize(context)
    return before, raw.tokenize(context + continuation)[len(before) :]


def harness(base_url: str, **options: Any) -> LocalCompletionsAPI:
    """What `--model local-completions` makes; it finds that the server tokenises too."""
    api = LocalCompletionsAPI(
        base_url=f"{base_url}/completions", model="smollm2", max_retries=1, **options
    )
    assert api.tokenizer_backend == "remote"
    return api


def instances(kind: str, *arguments: tuple[Any, ...]) -> list[Instance]:
    return [Instance(kind, {}, each, index) for index, each in enumerate(arguments)]


@pytest.mark.parametrize(
    "options",
    [{}, {"batch_size": 4}, {"num_concurrent": 3}, {"tokenized_requests": False}],
    ids=["one by one", "in batches", "at the same time", "as text"],
)
def test_log_likelihood(base_url: str, raw: RawModel, options: dict[str, Any]) -> None:
    api = harness(base_url, **options)
    found = api.loglikelihood(instances("loglikelihood", *PAIRS), disable_tqdm=True)
    wanted = [log_likelihood(raw, *tokens_of(raw, *pair)) for pair in PAIRS]
    assert [number for number, _ in found] == pytest.approx([n for n, _ in wanted], abs=TOLERANCE)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in wanted]
    assert {greedy for _, greedy in wanted} == {True, False}, "the pairs show both"


def test_log_likelihood_of_a_text_in_windows(base_url: str, raw: RawModel) -> None:
    api = harness(base_url, max_length=WINDOW)
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


def test_generation(base_url: str, story: str) -> None:
    """Tokens in, text out, up to a stop string."""
    api = harness(base_url)
    arguments = {"until": ["\n\n\n"], "max_gen_toks": 8, "temperature": 0, "do_sample": False}
    requests = instances("generate_until", ("Once upon a time", arguments))
    assert api.generate_until(requests, disable_tqdm=True) == [story]
    word = story.split()[2]
    stopped = instances("generate_until", ("Once upon a time", {**arguments, "until": [word]}))
    assert api.generate_until(stopped, disable_tqdm=True) == [story.partition(word)[0]]
