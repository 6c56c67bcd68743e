"""The evaluation harness: its numbers are those of the model itself.

Its own ways to a vocabulary are a hub on the network or routes beside the API; here it is handed
the one in the model's file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from cria.native import library
from cria.native.batch import Batch
from cria.native.context import Context, ContextOptions
from cria.native.model import Model
from tests.clients.marks import CLIENT

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
CELLS = 128


class Reference:
    """Log probabilities straight from the model: one sequence, one call, double precision."""

    def __init__(self, path: Path) -> None:
        self.model = Model(library.load(), str(path))
        self.vocab = self.model.vocab
        options = ContextOptions(
            num_cells=CELLS,
            num_sequences=1,
            batch_size=CELLS,
            ubatch_size=CELLS,
            num_threads=1,
            num_outputs=CELLS,
        )
        self.context = Context(self.model, options)

    def encode(self, text: str) -> list[int]:
        return self.vocab.tokenize(text.encode(), add_special=False, parse_special=False)

    def encode_batch(self, texts: tuple[str, ...]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    @property
    def eot_token(self) -> int:
        """What the harness puts before a text that has nothing before it."""
        assert self.vocab.bos_id is not None
        return self.vocab.bos_id

    def log_likelihood(self, context: list[int], continuation: list[int]) -> tuple[float, bool]:
        """The continuation's log probability, and whether it is the greedy one."""
        tokens = np.array(context + continuation, np.int32)
        batch = Batch(CELLS)
        num = len(tokens) - 1
        batch.append_each(tokens[:-1], np.arange(num), np.zeros(num, np.int32), output=True)
        self.context.clear()
        self.context.decode(batch)
        rows = self.context.logits(num)[len(context) - 1 :].astype(np.float64)
        chosen = rows[np.arange(len(continuation)), continuation]
        peaks = rows.max(axis=1)
        sums = np.log(np.exp(rows - peaks[:, None]).sum(axis=1)) + peaks
        greedy = rows.argmax(axis=1) == np.array(continuation)
        return float((chosen - sums).sum()), bool(greedy.all())


@pytest.fixture(scope="module")
def reference(default_model: Path) -> Iterator[Reference]:
    reference = Reference(default_model)
    yield reference
    reference.context.close()
    reference.model.close()


def harness(base_url: str, reference: Reference, **options: Any) -> LocalCompletionsAPI:
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
    api.tokenizer, api.tokenizer_backend = reference, "tiktoken"
    api.tokenized_requests = True
    return api


def instances(kind: str, *arguments: tuple[Any, ...]) -> list[Instance]:
    return [Instance(kind, {}, each, index) for index, each in enumerate(arguments)]


@pytest.mark.parametrize(
    "options",
    [{}, {"batch_size": 4}, {"num_concurrent": 3}],
    ids=["one by one", "in batches", "at the same time"],
)
def test_log_likelihood(base_url: str, reference: Reference, options: dict[str, int]) -> None:
    api = harness(base_url, reference, **options)
    found = api.loglikelihood(instances("loglikelihood", *PAIRS), disable_tqdm=True)
    wanted = [
        reference.log_likelihood(*api._encode_pair(context, continuation))
        if context
        else reference.log_likelihood([reference.eot_token], reference.encode(continuation))
        for context, continuation in PAIRS
    ]
    assert [number for number, _ in found] == pytest.approx([n for n, _ in wanted], abs=TOLERANCE)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in wanted]
    assert {greedy for _, greedy in wanted} == {True, False}, "the pairs show both"


def test_log_likelihood_of_a_text_in_windows(base_url: str, reference: Reference) -> None:
    api = harness(base_url, reference, max_length=WINDOW)
    found = api.loglikelihood_rolling(
        instances("loglikelihood_rolling", (TEXT,)), disable_tqdm=True
    )
    windows = [
        make_disjoint_window(window)
        for window in get_rolling_token_windows(
            token_list=reference.encode(TEXT),
            prefix_token=reference.eot_token,
            max_seq_len=api.max_length - 1,
            context_len=1,
        )
    ]
    assert len(windows) > 1
    wanted = sum(reference.log_likelihood(*window)[0] for window in windows)
    assert found == [pytest.approx(wanted, abs=TOLERANCE * len(windows))]


def test_generation(base_url: str, reference: Reference, story: str) -> None:
    """Tokens in, text out, up to a stop string."""
    api = harness(base_url, reference)
    arguments = {"until": ["\n\n\n"], "max_gen_toks": 8, "temperature": 0, "do_sample": False}
    requests = instances("generate_until", ("Once upon a time", arguments))
    assert api.generate_until(requests, disable_tqdm=True) == [story]
    word = story.split()[2]
    stopped = instances("generate_until", ("Once upon a time", {**arguments, "until": [word]}))
    assert api.generate_until(stopped, disable_tqdm=True) == [story.partition(word)[0]]
