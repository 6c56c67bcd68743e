from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cria.errors import NativeError, SetupError
from cria.native.batch import Batch
from cria.native.context import DecodeError
from cria.native.embedding_context import EmbeddingContext, EmbeddingOptions, output_bytes
from cria.native.library import Library
from cria.native.model import Model
from tests.convert.tiny_bert import CONTEXT, WIDTH

STREAMS = EmbeddingOptions(sequence_size=64, num_sequences=3, batch_size=96, num_threads=1)
POOLED = EmbeddingOptions(CONTEXT, 4, CONTEXT, 1, "mean")


@pytest.fixture
def streams(tiny_model: Model) -> Iterator[EmbeddingContext]:
    context = EmbeddingContext(tiny_model, STREAMS)
    yield context
    context.close()


@pytest.fixture(scope="session")
def bert_model(native: Library, tiny_bert_gguf: Path) -> Model:
    return Model(native, str(tiny_bert_gguf))


@pytest.fixture
def pooled(bert_model: Model) -> Iterator[EmbeddingContext]:
    context = EmbeddingContext(bert_model, POOLED)
    yield context
    context.close()


def decode(context: EmbeddingContext, *sequences: list[int], start: int = 0) -> None:
    batch = Batch(context.batch_size)
    for number, tokens in enumerate(sequences):
        batch.append(tokens, start, number, output=False)
    context.decode(batch)


def test_every_token_has_a_vector_in_the_order_of_the_batch(streams: EmbeddingContext) -> None:
    decode(streams, [5, 6, 7])
    alone = streams.token_vectors(3).copy()
    assert alone.shape == (3, 128) and np.isfinite(alone).all()
    streams.clear()
    decode(streams, [9, 9, 9], [5, 6, 7])
    np.testing.assert_array_equal(streams.token_vectors(6)[3:], alone)


def test_a_sequence_goes_on_where_it_was(streams: EmbeddingContext) -> None:
    decode(streams, [5, 6, 7, 8])
    whole = streams.token_vectors(4).copy()
    streams.clear()
    decode(streams, [5, 6])
    decode(streams, [7, 8], start=2)
    np.testing.assert_allclose(streams.token_vectors(2), whole[2:], atol=0.05)
    streams.clear()
    decode(streams, [7, 8])
    assert not np.allclose(streams.token_vectors(2), whole[2:], atol=0.05)


def test_a_pooled_sequence_has_one_vector(pooled: EmbeddingContext, bert_model: Model) -> None:
    assert (pooled.is_pooled, pooled.is_causal, pooled.vector_size) == (True, False, WIDTH)
    decode(pooled, [2, 10, 11, 3], [2, 12, 3])
    first, second = pooled.sequence_vector(0), pooled.sequence_vector(1)
    decode(pooled, [2, 12, 3])
    np.testing.assert_allclose(pooled.sequence_vector(0), second, atol=0.01)
    assert not np.allclose(first, second, atol=0.01)
    tokens = EmbeddingContext(bert_model, EmbeddingOptions(CONTEXT, 4, CONTEXT, 1))
    decode(tokens, [2, 12, 3])
    np.testing.assert_allclose(tokens.token_vectors(3).mean(0), second, atol=0.01)
    tokens.close()


def test_what_is_not_there_is_a_python_error(
    streams: EmbeddingContext, pooled: EmbeddingContext
) -> None:
    decode(pooled, [2, 3])
    for missing in (1, -1, 10**6):
        with pytest.raises(NativeError):
            pooled.sequence_vector(missing)
    with pytest.raises(NativeError, match="no vectors of tokens"):
        pooled.token_vectors(2)
    decode(streams, [5])
    with pytest.raises(NativeError):
        streams.sequence_vector(0)


@pytest.mark.parametrize(
    ("tokens", "start", "sequence", "complaint"),
    [
        ([10**6], 0, 0, "token id"),
        ([-1], 0, 0, "token id"),
        ([5], 0, 4, "sequence id"),
        ([5], CONTEXT, 0, "position"),
        ([5], -1, 0, "position"),
    ],
)
def test_what_would_abort_the_process_is_a_python_error(
    pooled: EmbeddingContext, tokens: list[int], start: int, sequence: int, complaint: str
) -> None:
    batch = Batch(CONTEXT)
    batch.append(tokens, start, sequence, output=True)
    with pytest.raises(NativeError, match=complaint):
        pooled.decode(batch)


def test_a_batch_is_one_pass_or_an_error(pooled: EmbeddingContext) -> None:
    batch = Batch(CONTEXT + 1)
    batch.append([5] * (CONTEXT + 1), 0, 0, output=True)
    with pytest.raises(NativeError, match=rf"is not in 1\.\.{CONTEXT}"):
        pooled.decode(batch)
    with pytest.raises(NativeError, match=r"is not in 1\.\."):
        pooled.decode(Batch(4))


def test_positions_end_where_the_models_table_does(bert_model: Model) -> None:
    long = EmbeddingContext(bert_model, EmbeddingOptions(CONTEXT * 2, 1, CONTEXT * 2, 1, "mean"))
    with pytest.raises(NativeError, match=rf"position of the batch is not in 0\.\.{CONTEXT - 1}"):
        decode(long, [5] * (CONTEXT + 1))
    decode(long, [5] * CONTEXT)
    assert np.isfinite(long.sequence_vector(0)).all()
    long.close()


def test_a_gap_in_the_positions_is_an_error(streams: EmbeddingContext) -> None:
    decode(streams, [5])
    with pytest.raises(DecodeError):
        decode(streams, [5], start=9)


def test_what_cannot_be_made_is_a_setup_error(tiny_model: Model) -> None:
    options = EmbeddingOptions(64, 300, 300, 1)
    with pytest.raises(SetupError, match="There is no memory for 300 inputs of 64 tokens"):
        EmbeddingContext(tiny_model, options)


def test_closed_is_closed(tiny_model: Model) -> None:
    context = EmbeddingContext(tiny_model, STREAMS)
    context.close()
    with pytest.raises(NativeError, match="EmbeddingContext is closed"):
        decode(context, [5])


def test_most_of_the_outputs_are_logits(tiny_model: Model) -> None:
    assert output_bytes(tiny_model, 10) == 10 * (512 + 128) * 4
