"""The real embedder over tiny models: one that generates, one that only embeds, a reranker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cria.config import EngineConfig
from cria.engine.embedder import STREAM_SIZE, Embedder, pooling_of, warnings_of
from cria.engine.embedding_queue import EmbeddingQueue, Piece, Vector
from cria.engine.loaded_model import LoadedModel
from cria.errors import NativeError, SetupError
from cria.ipc.messages import Embed, EmbeddingInfo
from cria.native.model import Model
from tests.convert import tiny_bert
from tests.convert.tiny_bert import CONTEXT, WIDTH


def make(path: Path, **settings: object) -> Embedder:
    config = EngineConfig(str(path), num_threads=1, **settings)  # type: ignore[arg-type]
    return Embedder(LoadedModel(config))


@pytest.fixture(scope="module")
def llama(tiny_gguf: Path) -> Embedder:
    return make(tiny_gguf)


@pytest.fixture(scope="module")
def bert(tiny_bert_gguf: Path) -> Embedder:
    return make(tiny_bert_gguf)


@pytest.fixture(params=["llama", "bert"])
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    yield request.getfixturevalue(request.param)


def inputs_of(*lengths: int, vocabulary: int = 60) -> list[list[int]]:
    rng = np.random.default_rng(3)
    return [rng.integers(5, vocabulary, length).tolist() for length in lengths]


def embed(embedder: Embedder, inputs: list[list[int]], max_tokens: int = 10_000) -> np.ndarray:
    """[input, dimension], of length 1, as the engine computes them."""
    queue = EmbeddingQueue(embedder.limits)
    queue.submit(Embed(1, inputs))
    while pieces := queue.next_batch(max_tokens):
        queue.record(pieces, embedder.compute(pieces))
    (answer,) = queue.take_output()
    assert answer.error is None, answer.error
    vectors = np.frombuffer(answer.vectors, "<f4").reshape(len(inputs), -1)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def test_a_batch_gives_what_single_inputs_give(embedder: Embedder) -> None:
    inputs = inputs_of(3, 40, 1, 17, 18, 40, 5, 2, 2, 33)
    together = embed(embedder, inputs)
    alone = np.concatenate([embed(embedder, [each]) for each in inputs])
    np.testing.assert_allclose((together * alone).sum(1), 1, atol=1e-5)


def test_more_inputs_than_a_batch_takes(embedder: Embedder) -> None:
    inputs = inputs_of(*[2, 7] * 70)
    vectors = embed(embedder, inputs)
    for number in (0, 1, 138, 139):
        np.testing.assert_allclose(
            vectors[number] @ embed(embedder, [inputs[number]])[0], 1, atol=1e-5
        )


def test_a_model_that_generates_has_no_neighbours_in_its_vectors(llama: Embedder) -> None:
    inputs = inputs_of(9, 12, 10, 16, vocabulary=512)
    alone = np.concatenate([embed(llama, [each]) for each in inputs])
    np.testing.assert_array_equal(embed(llama, inputs), alone)


@pytest.mark.parametrize("length", [STREAM_SIZE + 1, 512, 513, 1500])
def test_an_input_may_be_longer_than_a_batch(llama: Embedder, length: int) -> None:
    inputs = inputs_of(length, vocabulary=512)
    whole = embed(llama, inputs)
    np.testing.assert_allclose(embed(llama, inputs, max_tokens=100) @ whole[0], 1, atol=1e-3)
    other = [inputs[0][:-1] + [(inputs[0][-1] + 1) % 512]]
    assert not np.array_equal(embed(llama, other), whole)


def test_short_inputs_between_the_pieces_of_a_long_one(llama: Embedder) -> None:
    (long,) = inputs_of(600, vocabulary=512)
    short = inputs_of(4, 5, vocabulary=512)
    expected = embed(llama, [long])[0]

    def piece(start: int, end: int) -> Piece:
        return Piece(1, 0, np.array(long[start:end], np.int32), start, len(long))

    assert llama.compute([piece(0, 500)]) == [None]
    pieces = [Piece(2, n, np.array(each, np.int32), 0, len(each)) for n, each in enumerate(short)]
    assert all(vector is not None for vector in llama.compute(pieces))
    (vector,) = llama.compute([piece(500, 600)])
    assert vector is not None
    np.testing.assert_allclose(unit(vector) @ expected, 1, atol=1e-3)


def unit(vector: Vector) -> np.ndarray:
    scaled: np.ndarray = vector / np.linalg.norm(vector)
    return scaled


def test_pooling_is_as_told(tiny_gguf: Path) -> None:
    inputs = inputs_of(5, vocabulary=512)
    prefixes = [inputs[0][:end] for end in range(1, 6)]
    last = make(tiny_gguf, pooling="last")
    tokens = []
    for prefix in prefixes:
        pieces = [Piece(1, 0, np.array(prefix, np.int32), 0, len(prefix))]
        (vector,) = last.compute(pieces)
        assert vector is not None
        tokens.append(vector)
    first = embed(make(tiny_gguf, pooling="cls"), inputs)[0]
    np.testing.assert_allclose(first @ unit(tokens[0]), 1, atol=1e-3)
    mean = embed(make(tiny_gguf), inputs)[0]
    np.testing.assert_allclose(mean @ unit(np.mean(tokens, axis=0)), 1, atol=1e-3)


def test_limits_and_info(llama: Embedder, bert: Embedder, tiny_bert_gguf: Path) -> None:
    assert llama.info == EmbeddingInfo(128, 2048, "mean")
    assert bert.info == EmbeddingInfo(WIDTH, CONTEXT, "mean")
    assert llama.limits is not None and llama.limits.splits and llama.limits.context_size == 2048
    assert bert.limits is not None and not bert.limits.splits
    assert make(tiny_bert_gguf, context_size=32).info == EmbeddingInfo(WIDTH, 32, "mean")
    beyond = make(tiny_bert_gguf, context_size=1000).info
    assert beyond == EmbeddingInfo(WIDTH, CONTEXT, "mean"), "there are no more positions"


def test_an_input_that_fills_the_context(bert: Embedder, llama: Embedder) -> None:
    assert np.isfinite(embed(bert, inputs_of(CONTEXT))).all()
    assert np.isfinite(embed(llama, inputs_of(2048, vocabulary=512))).all()


def test_a_reranker_gives_scores(tiny_reranker_gguf: Path, tmp_path: Path) -> None:
    embedder = make(tiny_reranker_gguf)
    assert embedder.info == EmbeddingInfo(1, CONTEXT, "rank")
    weights = tiny_bert.make_weights(1)
    inputs = inputs_of(5, 30, 12)
    pieces = [Piece(1, n, np.array(each, np.int32), 0, len(each)) for n, each in enumerate(inputs)]
    for vector, tokens in zip(embedder.compute(pieces), inputs, strict=True):
        np.testing.assert_allclose(vector, tiny_bert.score(weights, tokens), atol=0.03)


def test_a_model_that_generates_may_rank_by_its_last_token(tiny_gguf: Path) -> None:
    embedder = make(tiny_gguf, pooling="rank")
    assert embedder.info == EmbeddingInfo(1, 2048, "rank")
    assert embedder.limits is not None and embedder.limits.num_inputs == 1
    (long,) = inputs_of(700, vocabulary=512)
    pieces = [
        Piece(1, 0, np.array(long[start:end], np.int32), start, len(long))
        for start, end in ((0, 512), (512, 700))
    ]
    first, second = (embedder.compute([piece])[0] for piece in pieces)
    assert first is None and second is not None and second.shape == (1,)


def test_pooling_that_the_file_does_not_know(tiny_gguf: Path, tiny_reranker_gguf: Path) -> None:
    plain, ranks = (
        LoadedModel(EngineConfig(str(path), pooling="rank"))
        for path in (tiny_gguf, tiny_reranker_gguf)
    )
    assert pooling_of(plain) == pooling_of(ranks) == "rank"
    assert "reranker" in warnings_of(plain)[0]
    assert warnings_of(ranks) == []


def test_a_context_that_the_model_does_not_have_is_a_warning(tiny_bert_gguf: Path) -> None:
    for size, warns in ((None, False), (CONTEXT, False), (CONTEXT + 1, True)):
        loaded = LoadedModel(EngineConfig(str(tiny_bert_gguf), context_size=size))
        assert bool(warnings_of(loaded)) is warns


def test_preparing_computes_something(tiny_bert_gguf: Path) -> None:
    embedder = make(tiny_bert_gguf)
    embedder.prepare()
    assert len(embedder._contexts) == 1


def test_what_there_is_no_memory_for_is_one_sentence_and_no_end(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = make(tiny_gguf)
    monkeypatch.setattr(embedder._loaded, "free_bytes", lambda: 1_000_000)
    with pytest.raises(SetupError, match="embedding 512 tokens needs .* GiB are free"):
        embed(embedder, inputs_of(3))
    monkeypatch.undo()
    assert np.isfinite(embed(embedder, inputs_of(3))).all()


def test_a_model_that_cannot_embed_takes_nothing(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "can_embed", False)
    embedder = make(tiny_gguf)
    assert (embedder.limits, embedder.info) == (None, None)


def test_a_file_that_lies_about_its_attention_is_found_out(
    tiny_bert_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "has_decoder", True)
    with pytest.raises(NativeError, match="not what its file says"):
        make(tiny_bert_gguf).prepare()


def test_numbers_that_are_none_are_an_error(
    llama: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = llama._context(False, 4)
    rows = np.full((3, 128), np.nan, np.float32)
    monkeypatch.setattr(context, "token_vectors", lambda _: rows)
    with pytest.raises(NativeError, match="not finite"):
        embed(llama, inputs_of(3))
