from __future__ import annotations

import pytest

from cria.errors import ClientGone, EngineDied, EngineError, EngineUnavailable
from cria.generation.admission import Uncounted
from cria.generation.embedding_run import EmbeddingRun
from tests.generation.fake_engine import FakeEngineClient


def start(client: FakeEngineClient) -> EmbeddingRun:
    return EmbeddingRun(client, [[1, 2], [3]], Uncounted())  # type: ignore[arg-type]


def test_the_inputs_go_and_the_vectors_come() -> None:
    client = FakeEngineClient()
    run = start(client)
    assert client.embedded == [[[1, 2], [3]]]
    assert (run.num_inputs, run.num_prompt_tokens) == (2, 3)
    client.answer(b"vectors")
    assert run.result() == b"vectors"


def test_an_engine_that_could_not_says_why() -> None:
    client = FakeEngineClient()
    run = start(client)
    client.answer(error="no memory")
    with pytest.raises(EngineError, match="The engine could not embed: no memory"):
        run.result()


def test_an_engine_that_dies_is_news_too() -> None:
    client = FakeEngineClient()
    run = start(client)
    client.embedding_sinks[0](EngineDied("gone"))
    with pytest.raises(EngineDied):
        run.result()


def test_a_cancel_ends_the_wait_and_the_work() -> None:
    client = FakeEngineClient()
    run = start(client)
    run.cancel()
    run.cancel()
    with pytest.raises(ClientGone):
        run.result()
    assert client.cancelled[0] == 0


def test_without_an_engine_nothing_starts() -> None:
    client = FakeEngineClient()
    client.refuse_from = 0
    with pytest.raises(EngineUnavailable):
        start(client)
