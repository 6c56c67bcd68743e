from __future__ import annotations

import io
import struct
import tempfile
from typing import BinaryIO

import pytest

from cria.model_file import reader
from cria.model_file.reader import BadFile, Reader


def file_of(data: bytes) -> BinaryIO:
    file = tempfile.TemporaryFile()
    file.write(data)
    file.seek(0)
    return file


def test_numbers_and_strings_one_after_another() -> None:
    with file_of(struct.pack("<IQ", 7, 2) + b"abrest") as file:
        source = Reader(file)
        assert source.numbers(struct.Struct("<I")) == (7,)
        assert source.string("it") == b"ab"
        assert (source.position, source.num_left, source.num_bytes) == (14, 4, 18)
        assert source.take(4) == b"rest"


def test_blocks_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BLOCK_BYTES", 3)
    data = bytes(range(100))
    with file_of(data) as file:
        source = Reader(file)
        assert b"".join(source.take(size) for size in (1, 5, 0, 40, 54)) == data


def test_nothing_behind_the_end() -> None:
    with file_of(b"abc") as file, pytest.raises(BadFile, match="ends within its header"):
        Reader(file).take(4)


def test_a_file_that_shrinks_while_it_is_read() -> None:
    with tempfile.NamedTemporaryFile(buffering=0) as file:
        file.write(bytes(100))
        file.seek(0)
        source = Reader(file)  # type: ignore[arg-type]
        file.truncate(10)
        with pytest.raises(BadFile, match="ends within its header"):
            source.take(50)


@pytest.mark.parametrize("length", [reader.MAX_STRING_BYTES + 1, 2**30, 2**64 - 1])
def test_a_string_that_claims_to_be_long(length: int) -> None:
    with file_of(struct.pack("<Q", length)) as file, pytest.raises(BadFile, match="a key has"):
        Reader(file).string("a key")


def test_only_real_files_have_a_size() -> None:
    with pytest.raises(OSError):
        Reader(io.BytesIO(b"x"))
