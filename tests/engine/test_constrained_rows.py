"""With the tiny model's vocabulary and the real sampler; the logits are the test's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cria.constraint import sources
from cria.constraint.compiler import GrammarCompiler
from cria.engine.constrained_rows import ConstrainedRows
from cria.native.direct_sampler import DirectSampler
from cria.native.grammar_tokenizer import make_grammar_tokenizer
from cria.native.library import Library, load
from cria.native.model import Model
from cria.native.row_sampling import RowSampler
from cria.sampling_params import SamplingParams


@pytest.fixture(scope="module")
def model(tiny_gguf: object) -> Model:
    return Model(load(), str(tiny_gguf))


class Bench:
    """Rows of one logit each: the likeliest token of each slot."""

    def __init__(self, model: Model, num_slots: int = 3) -> None:
        self.vocab = model.vocab
        library: Library = model.library
        self.sampler = RowSampler(library, num_slots, 1)
        self.ends = model.vocab.end_of_generation_ids
        self.rows = ConstrainedRows(self.sampler, self.vocab.num_tokens, self.ends)
        self.compiler = GrammarCompiler(make_grammar_tokenizer(self.vocab))

    def assign(self, slot: int, source: str = "", **params: object) -> None:
        values = SamplingParams(temperature=0, **params)  # type: ignore[arg-type]
        sampler = DirectSampler(self.vocab, values, [], 64)
        self.sampler.assign(slot, sampler, 0, proposes=bool(source))
        self.rows.assign(slot, self.compiler.matcher(source) if source else None)

    def token(self, text: str) -> int:
        """Not the one for a single byte, which has the same text and comes before it."""
        same = [t for t, piece in enumerate(self.vocab.pieces) if piece == text.encode()]
        return same[-1]

    def logits(self, *likely: str) -> npt.NDArray[np.float32]:
        """A row for each; its characters are the likeliest, the first one most of all."""
        rows = np.random.default_rng(1).normal(0, 1, (len(likely), self.vocab.num_tokens))
        for row, text in zip(rows, likely, strict=True):
            for rank, letter in enumerate(text):
                row[self.token(letter)] = 50 - rank
        return rows.astype(np.float32)

    def step(self, logits: npt.NDArray[np.float32], *slots: int) -> list[int]:
        places = np.array(slots, np.int32)
        tokens = self.sampler.sample(logits, places)
        self.rows.settle(tokens, places, logits)
        return tokens.tolist()


def test_only_what_a_grammar_refuses_is_replaced(model: Model) -> None:
    bench = Bench(model)
    bench.assign(0, sources.from_choice(["ab"]))
    bench.assign(1)
    bench.assign(2, sources.from_regex("[bx]+"))
    logits = bench.logits("xa", "xa", "xa")
    assert bench.step(logits, 0, 1, 2) == [bench.token(t) for t in "axx"]
    # The order of the rows is not that of the slots.
    assert bench.step(bench.logits("a", "b", "c"), 1, 2, 0)[:2] == [bench.token(t) for t in "ab"]


def test_log_probabilities_are_those_of_the_token_that_counts(model: Model) -> None:
    bench = Bench(model)
    bench.assign(0, sources.from_choice(["ab"]))
    bench.step(bench.logits("xa"), 0)
    found = bench.sampler.logprobs(0)
    assert found is not None and found.logprob == pytest.approx(-1 - np.log1p(np.exp(-1)), abs=1e-4)


def test_a_complete_answer_ends_whatever_else_is_likely(model: Model) -> None:
    bench = Bench(model)
    bench.assign(0, sources.from_choice(["a"]))
    assert bench.step(bench.logits("a"), 0) == [bench.token("a")]
    assert bench.step(bench.logits("a"), 0) == [bench.ends[0]]


def test_it_ends_where_it_may_if_that_is_the_likeliest(model: Model) -> None:
    bench = Bench(model)
    bench.assign(0, sources.from_regex("a+"))
    logits = bench.logits("ba")
    logits[0, bench.ends[1]] = 100
    assert bench.step(logits, 0) == [bench.token("a")], "not yet"
    assert bench.step(logits, 0) == [bench.ends[1]]


def test_where_nothing_is_left_there_is_no_token(model: Model) -> None:
    bench = Bench(model)
    bans = tuple((token, -100.0) for token in range(bench.vocab.num_tokens) if token != 400)
    bench.assign(0, sources.from_choice(["a"]), logit_bias=bans)
    bench.assign(1)
    assert bench.step(bench.logits("a", "b"), 0, 1) == [-1, bench.token("b")]


def test_a_slot_that_goes_on_without_a_grammar_is_free(model: Model) -> None:
    bench = Bench(model)
    bench.assign(0, sources.from_choice(["a"]))
    bench.assign(0)
    assert bench.step(bench.logits("xa"), 0) == [bench.token("x")]


def test_a_matcher_may_move_to_another_slot(model: Model) -> None:
    bench = Bench(model)
    matcher = bench.compiler.matcher(sources.from_choice(["ab"]))
    for slot in (0, 2):
        bench.sampler.assign(slot, None, proposes=True)
    bench.rows.assign(0, matcher)
    assert bench.step(bench.logits("x"), 0) == [bench.token("a")]
    bench.rows.assign(2, matcher)
    assert bench.step(bench.logits("x"), 2) == [bench.token("b")]
