from __future__ import annotations

import numpy as np
import pytest

from cria.errors import NativeError, SetupError
from cria.native.batch import Batch
from cria.native.context import Context, ContextOptions, DecodeError
from cria.native.model import Model
from tests.native.conftest import OPTIONS

PROMPT = [1, 20, 30, 40, 50]


def decode(context: Context, tokens: list[int], start: int, sequence: int) -> np.ndarray:
    batch = Batch(context.batch_size)
    batch.append(tokens, start, sequence, output=True)
    context.decode(batch)
    return context.logits(1)[0].copy()


def test_logits_are_finite_and_repeatable(context: Context) -> None:
    first = decode(context, PROMPT, 0, 0)
    context.clear()
    assert np.isfinite(first).all()
    assert first.shape == (context.vocab_size,)
    np.testing.assert_array_equal(first, decode(context, PROMPT, 0, 0))


def test_chunks_give_what_the_whole_prompt_gives(context: Context) -> None:
    whole = decode(context, PROMPT, 0, 0)
    decode(context, PROMPT[:3], 0, 1)
    np.testing.assert_allclose(whole, decode(context, PROMPT[3:], 3, 1), atol=0.05)


def test_sequences_in_one_batch_do_not_see_each_other(context: Context) -> None:
    alone = decode(context, PROMPT, 0, 0)
    context.clear()
    batch = Batch(64)
    batch.append(PROMPT, 0, 2, output=True)
    batch.append([7, 8, 9], 0, 0, output=True)
    context.decode(batch)
    np.testing.assert_allclose(alone, context.logits(2)[0], atol=0.05)


def test_rows_come_in_the_order_of_the_batch(context: Context) -> None:
    first, second = decode(context, [5, 6], 0, 0), decode(context, [90, 91], 0, 1)
    context.clear()
    batch = Batch(64)
    indices = [batch.append([90, 91], 0, 1, output=True), batch.append([5, 6], 0, 0, output=True)]
    context.decode(batch)
    assert indices == [1, 3]
    np.testing.assert_allclose(context.logits(2), [second, first], atol=0.05)


def test_remove_frees_one_sequence_only(context: Context) -> None:
    decode(context, PROMPT, 0, 0)
    decode(context, PROMPT, 0, 3)
    context.remove(0)
    assert (context.last_position(0), context.last_position(3)) == (-1, 4)
    context.clear()
    assert context.last_position(3) == -1


@pytest.mark.parametrize(
    ("tokens", "start", "sequence", "complaint"),
    [
        ([10**6], 0, 0, "token id"),
        ([-1], 0, 0, "token id"),
        ([1], 0, 4, "sequence id"),
        ([1], 0, -1, "sequence id"),
        ([1], -1, 0, "position"),
        ([1], 10**6, 0, "position"),
    ],
)
def test_what_would_abort_the_process_is_a_python_error(
    context: Context, tokens: list[int], start: int, sequence: int, complaint: str
) -> None:
    with pytest.raises(NativeError, match=complaint):
        decode(context, tokens, start, sequence)


def test_empty_and_oversized_batches_are_python_errors(context: Context) -> None:
    with pytest.raises(NativeError, match="a batch of 0 tokens"):
        context.decode(Batch(4))
    big = Batch(65)
    big.append([1] * 65, 0, 0, output=True)
    with pytest.raises(NativeError, match=r"a batch of 65 tokens is not in 1\.\.64"):
        context.decode(big)


def test_more_rows_than_sequences_are_a_python_error(context: Context) -> None:
    batch = Batch(64)
    for position in range(5):
        batch.append([1], position, 0, output=True)
    with pytest.raises(NativeError, match="more than 4 rows"):
        context.decode(batch)


def test_sequence_ids_out_of_range_never_reach_the_library(context: Context) -> None:
    for sequence in (-1, 4, 256):
        with pytest.raises(NativeError, match="sequence id"):
            context.remove(sequence)
        with pytest.raises(NativeError, match="sequence id"):
            context.last_position(sequence)


def test_a_full_cache_is_an_error_that_leaves_it_intact(tiny_model: Model) -> None:
    small = Context(tiny_model, ContextOptions(256, 2, 256, 256, 2))
    decode(small, [1] * 200, 0, 0)
    with pytest.raises(DecodeError) as caught:
        decode(small, [1] * 100, 0, 1)
    assert caught.value.code == 1 and caught.value.cache_is_intact
    assert (small.last_position(0), small.last_position(1)) == (199, -1)
    small.close()


def test_a_gap_in_the_positions_is_an_error(context: Context) -> None:
    decode(context, PROMPT, 0, 0)
    with pytest.raises(DecodeError) as caught:
        decode(context, [1], 9, 0)
    assert caught.value.code == -1
    assert context.last_position(0) == 4


def test_options_that_contradict_each_other_are_a_setup_error(tiny_model: Model) -> None:
    options = ContextOptions(256, 1, 64, 64, 1, flash_attention="off", cache_type_v="q8_0")
    with pytest.raises(SetupError, match="llama.cpp says"):
        Context(tiny_model, options)


def test_the_batch_grows_to_the_number_of_sequences(tiny_model: Model) -> None:
    with_many = Context(tiny_model, ContextOptions(512, 32, 8, 8, 1))
    assert with_many.batch_size == 32
    with_many.close()


def test_use_after_close_is_a_python_error(tiny_model: Model) -> None:
    context = Context(tiny_model, OPTIONS)
    context.close()
    with pytest.raises(NativeError, match="Context is closed"):
        decode(context, PROMPT, 0, 0)
