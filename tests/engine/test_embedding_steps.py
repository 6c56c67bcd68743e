from __future__ import annotations

from cria.engine.embedding_steps import EmbeddingSteps
from cria.engine.pacing import PrefillPacer
from cria.ipc.messages import Cancel, Embed, Embedded
from tests.engine.fake_embedder import SPLITTING, FakeEmbedder, expected


def make(embedder: FakeEmbedder) -> EmbeddingSteps:
    """Beside streams four tokens at a time, until something is known."""
    return EmbeddingSteps(embedder, PrefillPacer(1000.0, 4))


def test_without_streams_a_batch_is_full_and_beside_them_small() -> None:
    embedder = FakeEmbedder(SPLITTING)
    steps = make(embedder)
    inputs = [[1] * 30]
    steps.submit(Embed(1, inputs))
    assert steps.step(beside_streams=True)[:2] == (0, 4)
    done = steps.step(beside_streams=False)
    assert done[:2] == (0, 16) and done.seconds > 0
    assert steps.step(beside_streams=False)[:2] == (1, 10)
    assert steps.take_output() == [Embedded(1, expected(inputs))]
    assert steps.is_idle
    assert steps.step(beside_streams=False) == (0, 0, 0.0)


def test_a_failure_ends_the_batch_and_the_next_one_is_computed() -> None:
    embedder = FakeEmbedder()
    steps = make(embedder)
    embedder.fail_next = True
    steps.submit(Embed(1, [[1]]))
    assert steps.step(beside_streams=False)[:2] == (0, 0)
    steps.submit(Embed(2, [[1]]))
    steps.step(beside_streams=False)
    assert steps.take_output() == [Embedded(1, error="told to fail"), Embedded(2, expected([[1]]))]


def test_a_cancelled_request_is_not_computed() -> None:
    embedder = FakeEmbedder()
    steps = make(embedder)
    steps.submit(Embed(1, [[1]]))
    steps.cancel(Cancel(1))
    assert not steps.is_idle, "the answer is still to be told"
    steps.step(beside_streams=False)
    assert steps.take_output() == [Embedded(1, error="cancelled")]
    assert embedder.batches == []


def test_a_model_that_cannot_embed_refuses() -> None:
    steps = make(FakeEmbedder(None))
    steps.submit(Embed(1, [[1]]))
    steps.step(beside_streams=False)
    assert [answer.error for answer in steps.take_output()] == ["this model cannot embed"]
