from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.model_file.header import Header, read_header, shown
from cria.model_file.reader import BadFile
from tests.model_file.building import Given, gguf
from tests.model_file.test_reader import file_of

LLAMA = {"general.architecture": "llama", "llama.block_count": 2}
TENSORS = [Given("a.weight", (64, 3), 8, 204), Given("b", (5,), 0, 20)]


def read(data: bytes) -> Header:
    with file_of(data) as file:
        return read_header(file)


def test_a_whole_file() -> None:
    data = gguf(LLAMA, TENSORS)
    header = read(data)
    assert header.architecture == "llama" and header.of_model("block_count") == 2
    assert [(tensor.name, tensor.shape) for tensor in header.tensors] == [
        ("a.weight", (64, 3)),
        ("b", (5,)),
    ]
    assert [(tensor.num_values, tensor.num_bytes) for tensor in header.tensors] == [
        (192, 204),
        (5, 20),
    ]
    assert header.num_weights == 197
    assert header.data_start % 32 == 0 and header.num_bytes == len(data)


def test_without_an_architecture_there_are_no_keys_of_it() -> None:
    assert read(gguf()).architecture == "" and read(gguf()).of_model("x") is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "ends within"),
        (b"PK" + bytes(30), "not a GGUF file"),
        (gguf(version=1), "version 1;"),
        (gguf(version=4), "version 4;"),
        (gguf(version=3 << 24), "big-endian"),
        (gguf(counts=(70_000, 0)), "70000 tensors"),
        (gguf(counts=(1, 0)), "more than its 32 bytes"),
        (gguf(counts=(0, 2**60)), "more than its 32 bytes"),
        (gguf([("", 5)]), "empty key"),
        (gguf([("a", 5), ("a", 6)]), "the key a twice"),
        (gguf({"general.alignment": 0}), "alignment is 0"),
        (gguf({"general.alignment": 3}), "alignment is 3"),
        (gguf({"general.alignment": 2**31}), "alignment is 2147483648"),
        (gguf({"general.alignment": "32x"}), "alignment is 32x"),
        (gguf(LLAMA, [Given("a"), Given("a")]), "the tensor a twice"),
        (gguf(LLAMA, [Given("a" * 64)]), "longer than 63 bytes"),
        (gguf(LLAMA, [Given("a", ())]), "0 dimensions"),
        (gguf(LLAMA, [Given("a", (1,) * 5)]), "5 dimensions"),
        (gguf(LLAMA, [Given("a", (32, 0))]), "is 32 x 0"),
        (gguf(LLAMA, [Given("a", (2**63,))]), "is 9223372036854775808"),
        (gguf(LLAMA, [Given("a", (2**40, 2**40))]), "is 1099511627776 x"),
        (gguf(LLAMA, [Given("a", (33,), 8)]), "rows of a multiple of 32"),
        (gguf(LLAMA, [Given("a", type=4)]), "the type 4"),
        (gguf(LLAMA, [Given("a", type=99)]), "the type 99"),
        (gguf(LLAMA, [Given("a", offset=32)]), "is at 32 and should be at 0"),
        (gguf(LLAMA, TENSORS)[:-40], "missing at its end"),
    ],
)
def test_what_makes_no_sense(data: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        read(data)


WHOLE = gguf({**LLAMA, "tokens": ["a", "b"], "ids": [1, 2], "eps": 0.5}, TENSORS)


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=9))
def test_damage_anywhere_is_a_sentence_or_nothing(place: int, damage: bytes) -> None:
    read_or_refuse(WHOLE[:place] + damage + WHOLE[place + len(damage) :])


@given(st.integers(0, len(WHOLE)))
def test_a_file_that_ends_early(length: int) -> None:
    if length < len(WHOLE) - 12:  # without the padding behind the last tensor
        with pytest.raises(BadFile):
            read(WHOLE[:length])


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    read_or_refuse(data)
    read_or_refuse(WHOLE[:24] + data)


def read_or_refuse(data: bytes) -> Any:
    try:
        header = read(data)
    except BadFile as error:
        assert len(str(error)) < 1000
    else:
        assert all(tensor.num_bytes <= len(data) for tensor in header.tensors)


def test_long_values_are_cut() -> None:
    assert shown("x" * 60) == "x" * 60 and shown("x" * 61) == "x" * 60 + "..."
