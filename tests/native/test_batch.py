from __future__ import annotations

import ctypes

import pytest

from cria.native.batch import Batch


def test_the_struct_shows_what_was_appended() -> None:
    batch = Batch(8)
    assert batch.append([5, 6], 3, 1, output=True) == 1
    assert batch.append([7], 0, 2, output=False) == 2
    struct = batch.struct
    count = batch.num_tokens

    def read(address: int, kind: type[ctypes._SimpleCData]) -> list[int]:
        return list((kind * count).from_address(address))

    assert read(struct.token, ctypes.c_int32) == [5, 6, 7]
    assert read(struct.pos, ctypes.c_int32) == [3, 4, 0]
    assert read(struct.logits, ctypes.c_int8) == [0, 1, 0]
    assert read(struct.n_seq_id, ctypes.c_int32) == [1, 1, 1]
    ids = [
        ctypes.c_int32.from_address(address).value
        for address in read(struct.seq_id, ctypes.c_uint64)
    ]
    assert ids == [1, 1, 2]


def test_clear_starts_over_in_the_same_memory() -> None:
    batch = Batch(2)
    address = batch.struct.token
    batch.append([1, 2], 0, 0, output=True)
    batch.clear()
    assert batch.append([9], 0, 1, output=True) == 0
    assert (batch.num_tokens, batch.struct.token) == (1, address)
    assert batch.output[0] == 1


def test_a_full_batch_refuses() -> None:
    batch = Batch(2)
    batch.append([1], 0, 0, output=True)
    with pytest.raises(ValueError, match="batch of 2 tokens cannot take 3"):
        batch.append([1, 2], 1, 0, output=True)
