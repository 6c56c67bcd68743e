from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.engine.embedding_queue import EmbeddingLimits, EmbeddingQueue
from cria.ipc.messages import Cancel, Embed, Embedded
from tests.engine.fake_embedder import LIMITS, SPLITTING, FakeEmbedder, expected


class Bench:
    """A queue and an embedder, stepped by hand."""

    def __init__(self, limits: EmbeddingLimits | None = LIMITS) -> None:
        self.embedder = FakeEmbedder(limits)
        self.queue = EmbeddingQueue(limits)

    def submit(self, request_id: int, *lengths: int) -> list[list[int]]:
        """Inputs of so many tokens."""
        inputs = [[request_id + 1] * length for length in lengths]
        self.queue.submit(Embed(request_id, inputs))
        return inputs

    def step(self, max_tokens: int = 1000) -> list[tuple[int, int, int]]:
        """One batch: request id, input and number of tokens of each of its pieces."""
        pieces = self.queue.next_batch(max_tokens)
        if pieces:
            self.queue.record(pieces, self.embedder.compute(pieces))
        return [(piece.request_id, piece.number, len(piece.tokens)) for piece in pieces]

    def run(self, max_tokens: int = 1000) -> list[Embedded]:
        while self.step(max_tokens):
            pass
        return self.queue.take_output()


def test_inputs_share_batches_and_the_answer_has_their_order() -> None:
    bench = Bench()
    inputs = bench.submit(1, 2, 9, 5, 8)
    assert bench.run() == [Embedded(1, expected(inputs))]
    assert bench.embedder.batches == [[(1, 1, 9)], [(1, 3, 8), (1, 2, 5), (1, 0, 2)]]
    assert bench.queue.is_idle


def test_a_batch_has_room_for_the_inputs_of_others() -> None:
    bench = Bench()
    bench.submit(1, 3)
    bench.submit(2, 4)
    assert bench.step() == [(1, 0, 3), (2, 0, 4)]
    assert [answer.request_id for answer in bench.queue.take_output()] == [1, 2]


def test_a_batch_takes_only_so_many_inputs() -> None:
    bench = Bench()
    bench.submit(1, *[1] * 9)
    assert [len(bench.step()) for _ in range(4)] == [4, 4, 1, 0]


def test_requests_take_turns() -> None:
    bench = Bench()
    bench.submit(1, *[16] * 20)
    bench.step()
    bench.submit(2, 16)
    assert bench.step() == [(1, 18, 16)]
    assert bench.step() == [(2, 0, 16)]


def test_padding_is_bounded() -> None:
    bench = Bench(SPLITTING)
    bench.submit(1, 3, 4, 8, 2)
    assert bench.step() == [(1, 2, 8), (1, 1, 4)], "3 more would make 24, of 16"
    assert bench.step() == [(1, 0, 3), (1, 3, 2)]
    bench.submit(2, 5, 2)
    assert bench.step() == [(2, 0, 5)], "2 beside 5 would be more padding than tokens"


def test_a_long_input_comes_in_pieces_and_alone() -> None:
    bench = Bench(SPLITTING)
    inputs = bench.submit(1, 40, 2)
    bench.submit(2, 3)
    assert [bench.step() for _ in range(3)] == [[(1, 0, 16)], [(1, 0, 16)], [(1, 0, 8)]]
    assert bench.step() == [(2, 0, 3), (1, 1, 2)]
    answers = {answer.request_id: answer.vectors for answer in bench.queue.take_output()}
    assert answers[1] == expected(inputs)


def test_pieces_are_as_small_as_told() -> None:
    bench = Bench(SPLITTING)
    inputs = bench.submit(1, 10)
    assert [len(bench.queue.next_batch(4)[0].tokens)] == [4]
    bench.queue.cancel(Cancel(1))
    inputs = bench.submit(2, 10)
    bench.queue.take_output()
    assert bench.run(max_tokens=4) == [Embedded(2, expected(inputs))]
    assert bench.embedder.batches == [[(2, 0, 4)], [(2, 0, 4)], [(2, 0, 2)]]


def test_who_cannot_split_takes_one_input_however_long() -> None:
    bench = Bench()
    bench.submit(1, 40, 3)
    assert bench.step(max_tokens=4) == [(1, 0, 40)]
    assert bench.step(max_tokens=4) == [(1, 1, 3)]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [([], "empty"), ([[1], []], "empty"), ([[1] * 65], "65 tokens, and 64 are possible")],
)
def test_what_can_never_be_computed_is_refused(inputs: list[list[int]], reason: str) -> None:
    bench = Bench()
    bench.queue.submit(Embed(1, inputs))
    (answer,) = bench.queue.take_output()
    assert answer.request_id == 1 and reason in (answer.error or "")
    assert bench.queue.is_idle


def test_without_limits_nothing_is_computed() -> None:
    bench = Bench(None)
    bench.submit(1, 3)
    assert bench.run() == [Embedded(1, error="this model cannot embed")]


def test_an_id_in_use_is_refused_and_the_first_request_goes_on() -> None:
    bench = Bench()
    inputs = bench.submit(1, 3)
    bench.submit(1, 4)
    refused, done = bench.run()
    assert refused.error == "request id 1 is in use"
    assert done == Embedded(1, expected(inputs))


def test_a_cancel_counts_wherever_the_request_is() -> None:
    bench = Bench(SPLITTING)
    bench.submit(1, 40, 40)
    bench.step()
    inputs = bench.submit(2, 3)
    bench.queue.cancel(Cancel(1))
    bench.queue.cancel(Cancel(1))
    bench.queue.cancel(Cancel(7))
    assert bench.run() == [Embedded(1, error="cancelled"), Embedded(2, expected(inputs))]


def test_a_failed_batch_ends_its_requests_alone() -> None:
    bench = Bench()
    bench.submit(1, 8, 16)
    bench.submit(2, 8)
    inputs = bench.submit(3, 16)
    bench.step()
    pieces = bench.queue.next_batch(16)
    assert {piece.request_id for piece in pieces} == {2, 1}
    bench.queue.fail(pieces, "no memory")
    answers = bench.run()
    assert {(answer.request_id, answer.error) for answer in answers} == {
        (1, "no memory"),
        (2, "no memory"),
        (3, None),
    }
    assert answers[-1] == Embedded(3, expected(inputs))


LENGTHS = st.lists(st.integers(1, 64), min_size=1, max_size=6)


@given(
    st.lists(LENGTHS, max_size=6),
    st.sampled_from([LIMITS, SPLITTING]),
    st.lists(st.integers(1, 20), min_size=1),
    st.sets(st.integers(0, 5)),
)
def test_every_request_gets_exactly_one_right_answer(
    requests: list[list[int]], limits: EmbeddingLimits, budgets: list[int], cancelled: set[int]
) -> None:
    bench = Bench(limits)
    inputs = [bench.submit(number, *lengths) for number, lengths in enumerate(requests)]
    bench.step(budgets[0])
    for number in cancelled & set(range(len(requests))):
        bench.queue.cancel(Cancel(number))
    for turn in range(2000):
        if not bench.step(budgets[turn % len(budgets)]):
            break
    answers = bench.queue.take_output()
    assert sorted(answer.request_id for answer in answers) == list(range(len(requests)))
    for answer in answers:
        if answer.error is None:
            assert answer.vectors == expected(inputs[answer.request_id])
        else:
            assert answer.request_id in cancelled
    assert bench.queue.is_idle
    for batch in bench.embedder.batches:
        sizes = [size for _, _, size in batch]
        used = len(sizes) * max(sizes) if limits.pads else sum(sizes)
        assert len(sizes) <= limits.num_inputs
        assert used <= limits.batch_size or len(sizes) == 1
