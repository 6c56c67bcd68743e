"""Reading forward, never beyond the end, and what is said there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.model_file.reader import BadFile
from tests.legacy.old_source import source_of


def test_numbers_are_little_endian_and_follow_each_other() -> None:
    source = source_of(bytes.fromhex("01000000 00010000 ffff"))
    assert source.numbers("2I", "x") == (1, 256)
    assert (source.position, source.num_left) == (8, 2)
    assert source.take(2, "x") == b"\xff\xff"


def test_what_is_missing_is_counted_and_named() -> None:
    source = source_of(bytes(10))
    source.take(8, "x")
    with pytest.raises(BadFile, match="truncated at offset 10 in the header: 2 bytes are missing"):
        source.numbers("I", "the header")
    with pytest.raises(BadFile, match="3 bytes are missing"):
        source.skip(5, "the header")
    assert source.position == 8


def test_padding_leads_to_the_next_multiple_of_32() -> None:
    source = source_of(b"a" + bytes(31) + b"b")
    source.take(1, "x")
    source.skip_padding("x")
    assert source.position == 32
    source.skip_padding("x")
    assert source.position == 32


def test_padding_has_to_be_zero() -> None:
    source = source_of(b"a" + bytes(30) + b"!")
    source.take(1, "x")
    with pytest.raises(BadFile, match="its padding at offset 32 in x is not zero"):
        source.skip_padding("x")


def test_a_buffer_is_filled_as_far_as_the_file_goes() -> None:
    source = source_of(b"0123456789")
    source.seek(7)
    buffer = bytearray(5)
    assert source.read_into(memoryview(buffer)) == 3
    assert bytes(buffer) == b"789\0\0" and source.position == 10


@given(st.binary(max_size=40), st.lists(st.integers(0, 20), max_size=6))
def test_pieces_join_to_the_beginning(data: bytes, sizes: list[int]) -> None:
    source, taken = source_of(data), b""
    for size in sizes:
        try:
            taken += source.take(size, "x")
        except BadFile:
            assert size > source.num_left
    assert data.startswith(taken) and source.position == len(taken)
