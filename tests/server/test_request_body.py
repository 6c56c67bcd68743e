"""The body of a request, from bytes that come in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest, HTTPException, RequestTimeout

from cria.server.request_body import MAX_SKIPPED, RequestBody
from cria.server.request_head import HEAD_END, parse_head
from cria.server.socket_reader import SocketReader
from tests.faults.hostile_requests import CHUNKS, CUT_SHORT, Hostile, chunks, lines
from tests.server.pieces import Pieces

Sizes = st.lists(st.integers(1, 40), min_size=1)


def open_body(
    request: bytes, sizes: list[int] | None = None, told: list[str] | None = None
) -> RequestBody:
    """The body of a request that comes in pieces of these sizes."""
    head, _, body = request.partition(HEAD_END)
    sock = Pieces(body, sizes or [65536])
    note = (told if told is not None else []).append
    return RequestBody(SocketReader(sock), parse_head(head + HEAD_END), 10.0, lambda: note("100"))


def with_length(body: bytes, *headers: bytes) -> bytes:
    return lines(b"Host: t", b"Content-Length: %d" % len(body), *headers) + body


def in_chunks(pieces: list[bytes]) -> bytes:
    framed = [b"%X;x=y\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece]
    return chunks(b"".join(framed) + b"0\r\nX: y\r\n\r\n")


@given(st.binary(), Sizes, st.integers(1, 50))
def test_a_length_is_obeyed(body: bytes, sizes: list[int], limit: int) -> None:
    stream = open_body(with_length(body) + b"next", sizes)
    first = stream.read(limit)
    assert first == body[:limit]
    assert first + stream.read() == body
    assert stream.is_complete
    assert stream.read() == b""


@given(st.lists(st.binary()), Sizes, st.integers(1, 50))
def test_chunks_are_put_together(pieces: list[bytes], sizes: list[int], limit: int) -> None:
    stream = open_body(in_chunks(pieces) + b"next", sizes)
    body = b"".join(pieces)
    first = stream.read(limit)
    assert first == body[:limit]
    assert first + stream.read() == body
    assert stream.is_complete


@given(st.binary(max_size=100), Sizes)
def test_any_bytes_are_chunks_or_a_400(data: bytes, sizes: list[int]) -> None:
    stream = open_body(chunks(data), sizes)
    try:
        stream.read()
    except BadRequest:
        assert not stream.can_be_skipped


@pytest.mark.parametrize("case", CHUNKS, ids=lambda case: case.name)
def test_hostile_chunks_are_refused(case: Hostile) -> None:
    stream = open_body(case.data)
    for _ in range(2):  # asking again does not get more
        with pytest.raises(HTTPException) as caught:
            stream.read()
        assert caught.value.code == case.status


@pytest.mark.parametrize("data", CUT_SHORT)
def test_a_body_that_is_cut_off_is_a_400(data: bytes) -> None:
    with pytest.raises(BadRequest):
        open_body(data).read()


def test_a_client_that_is_silent_for_too_long_is_a_408() -> None:
    head = parse_head(lines(b"Host: t", b"Content-Length: 5"))
    for pause, expected in ((10.0, RequestTimeout), (0.0, RequestTimeout)):
        sock = Pieces(b"abc", [3], is_silent_then=True)
        stream = RequestBody(SocketReader(sock), head, pause, lambda: None)
        with pytest.raises(expected):
            stream.read()


def test_100_is_sent_when_reading_begins_and_once() -> None:
    told: list[str] = []
    stream = open_body(with_length(b"abcd", b"Expect: 100-continue"), None, told)
    assert not stream.can_be_skipped
    assert told == []
    stream.read(2)
    stream.read()
    assert told == ["100"]


def test_what_is_left_is_skipped_if_it_is_little() -> None:
    few, many = open_body(with_length(b"abcd")), open_body(with_length(b"x" * (MAX_SKIPPED + 1)))
    few.read(1)
    assert few.can_be_skipped
    assert few.skip(1.0)
    assert not many.can_be_skipped
    assert not many.skip(1.0)
    assert not open_body(in_chunks([b"a"])).can_be_skipped
    assert not open_body(CUT_SHORT[-1]).skip(1.0)
    assert not open_body(with_length(b"abcd")).skip(0.0)


def test_it_is_a_file() -> None:
    assert open_body(with_length(b"a\nb")).readlines() == [b"a\n", b"b"]
    assert open_body(lines(b"Host: t")).read() == b""
