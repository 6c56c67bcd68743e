"""The seven numbers: which are taken, and how one that makes no sense is named."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.legacy.hparams import Hparams, read_format, read_hparams
from cria.model_file.reader import BadFile
from tests.legacy.old_source import source_of

LLAMA_7B = (32_000, 4096, 256, 32, 32, 128, 2)
NUMBER = st.integers(0, 2**32 - 1) | st.integers(0, 300)


def read(*numbers: int) -> Hparams:
    return read_hparams(source_of(struct.pack("<7I", *numbers)))


def with_one(position: int, value: int) -> tuple[int, ...]:
    return (*LLAMA_7B[:position], value, *LLAMA_7B[position + 1 :])


def test_llama_7b() -> None:
    found = read(*LLAMA_7B)
    assert found == Hparams(32_000, 4096, 32, 32, 2)
    assert found.head_width == 128


@pytest.mark.parametrize(("told", "kind"), [(0, 0), (18, 18), (1002, 2), (2018, 18)])
def test_the_type_may_have_the_version_of_quantisation_in_it(told: int, kind: int) -> None:
    assert read(*with_one(6, told)).file_type == kind


@pytest.mark.parametrize(
    ("position", "value", "words"),
    [
        (0, 2, "n_vocab 2, which has to be between 3 and 1000000"),
        (1, 65_537, "n_embd 65537"),
        (3, 4097, "n_head 4097, which has to be between 1 and 4096"),
        (3, 33, "n_head 33, which does not divide 4096"),
        (4, 513, "n_layer 513"),
        (5, 64, "n_rot 64, and a head has 128 values"),
        (6, 19, "ftype 19"),
        (6, 3002, "ftype 3002"),
    ],
)
def test_numbers_that_make_no_sense(position: int, value: int, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        read(*with_one(position, value))


@given(st.tuples(*[NUMBER] * 7))
def test_whatever_is_taken_is_consistent(numbers: tuple[int, ...]) -> None:
    try:
        found = read(*numbers)
    except BadFile as error:
        assert "another kind of model" in str(error)
    else:
        assert found.head_width * found.num_heads == found.width
        assert found.head_width == numbers[5]


def test_the_oldest_format_has_no_version() -> None:
    assert read_format(source_of(b"lmgg" + bytes(4))).name == "ggml"
    assert read_format(source_of(struct.pack("<4sI", b"tjgg", 2))).name == "ggjt v2"
    with pytest.raises(BadFile, match="truncated at offset 6 in the header"):
        read_format(source_of(b"tjgg\0\0"))
