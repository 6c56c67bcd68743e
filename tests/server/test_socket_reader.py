"""Heads, lines and pieces out of blocks of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.server.request_head import BadHead
from cria.server.socket_reader import SocketReader
from tests.faults.hostile_requests import lines
from tests.server.pieces import Pieces

HEAD = lines(b"Host: t", first=b"GET / HTTP/1.1")


@given(st.lists(st.integers(1, 30), min_size=1))
def test_heads_come_one_by_one(sizes: list[int]) -> None:
    reader = SocketReader(Pieces(HEAD + b"\r\n" + HEAD + b"body", sizes))
    assert reader.wait(1.0)
    assert [reader.read_head(1.0), reader.read_head(1.0)] == [HEAD, HEAD]
    assert reader.read_some(2, 1.0) in (b"b", b"bo")


@given(st.lists(st.integers(1, 30), min_size=1))
def test_lines_end_or_are_as_long_as_the_limit(sizes: list[int]) -> None:
    reader = SocketReader(Pieces(b"ab\ncdefg\nh", sizes))
    assert [reader.read_line(4, 1.0) for _ in range(5)] == [b"ab\n", b"cdef", b"g\n", b"h", b""]


def test_the_end_is_no_head() -> None:
    reader = SocketReader(Pieces(HEAD[:-1], [5]))
    assert reader.read_head(1.0) is None
    assert not SocketReader(Pieces(b"", [1])).wait(1.0)


def test_silence_is_no_head_either() -> None:
    assert not SocketReader(Pieces(b"", [1], is_silent_then=True)).wait(1.0)
    with pytest.raises(TimeoutError):
        SocketReader(Pieces(HEAD[:-1], [99], is_silent_then=True)).read_head(1.0)
    with pytest.raises(TimeoutError):
        SocketReader(Pieces(HEAD, [1])).read_head(0.0)


def test_what_cannot_become_a_head_is_refused_at_once() -> None:
    for start in (b"\x16", b"GET /\r\n", b"GET / HTTP/1.1\r\nA: b\n", b"x" * 9000):
        with pytest.raises(BadHead):
            SocketReader(Pieces(start, [99], is_silent_then=True)).read_head(1.0)


def test_the_time_limit_of_writing_stays() -> None:
    sock = Pieces(HEAD, [99])
    SocketReader(sock).read_head(1.0)
    assert sock.timeout == 60.0
