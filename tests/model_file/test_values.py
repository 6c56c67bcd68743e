from __future__ import annotations

import struct

import pytest

from cria.model_file.reader import BadFile, Reader
from cria.model_file.values import Numbers, read_value
from tests.model_file import building
from tests.model_file.test_reader import file_of


def read(data: bytes) -> object:
    with file_of(data) as file:
        return read_value(Reader(file), "key")


@pytest.mark.parametrize("given", ["", "text", "é", True, False, 5, 2**40, -3, 0.5])
def test_what_is_written_is_read(given: object) -> None:
    assert read(building.value(given)) == given


def test_arrays() -> None:
    assert read(building.value(["a", "", "é"])) == [b"a", b"", "é".encode()]
    numbers = read(building.value([1, -2]))
    assert isinstance(numbers, Numbers) and numbers.values() == [1, -2] and len(numbers) == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (struct.pack("<I", 13), "unknown type 13"),
        (struct.pack("<IIQ", 9, 9, 1), "type 9, which cannot be in one"),
        (struct.pack("<IIQ", 9, 4, 2**26 + 1), "67108865 values"),
        (struct.pack("<IIQ", 9, 4, 5), "ends within"),
        (struct.pack("<IIQ", 9, 8, 5), "5 texts, more than"),
        (struct.pack("<IQ", 8, 5) + b"four", "ends within"),
    ],
)
def test_what_makes_no_sense(data: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        read(data)
