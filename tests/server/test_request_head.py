"""The head of a request: what is read, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cria.server.request_head import (
    HEAD_END,
    METHODS,
    BadHead,
    RequestLine,
    check_unfinished,
    parse_head,
)
from tests.faults.hostile_requests import HEADS, Hostile, lines

TOKEN = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=20)
VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=50).filter(
    lambda text: not any(0x7F <= ord(char) <= 0x7F for char in text)
)
OWN = {
    "host",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "connection",
    "expect",
}


def read(data: bytes) -> None:
    """As a connection does: the pieces as they come, then the whole."""
    data = data.removeprefix(b"\r\n")
    end = data.find(HEAD_END)
    check_unfinished(data if end < 0 else data[: end + 2], 0)
    if end >= 0:
        parse_head(data[: end + len(HEAD_END)])


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case.name)
def test_hostile_heads_are_refused(case: Hostile) -> None:
    with pytest.raises(BadHead) as caught:
        read(case.data)
    assert caught.value.status == case.status


def test_a_plain_head() -> None:
    head = parse_head(lines(b"HOST: t:80", b"A:\t b c \t", b"Content-Length: 07"))
    assert head.line == RequestLine("POST", "/v1/completions", "HTTP/1.1")
    assert head.headers == [("host", "t:80"), ("a", "b c"), ("content-length", "07")]
    assert (head.content_length, head.is_chunked, head.keep_alive) == (7, False, True)
    assert not head.expects_continue


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"/a?b=http://c", "/a?b=http://c", None),
        (b"//a/../b%zz", "//a/../b%zz", None),
        (b"http://h", "/", "h"),
        (b"HTTPS://h:1?a", "/?a", "h:1"),
        (b"http://[::1]:80/a?b", "/a?b", "[::1]:80"),
    ],
)
def test_targets(target: bytes, path: str, host: str | None) -> None:
    line = parse_head(lines(b"Host: t", first=b"GET " + target + b" HTTP/1.1")).line
    assert (line.target, line.host) == (path, host)


@pytest.mark.parametrize(
    ("header", "version", "is_kept"),
    [
        (b"A: b", b"1.1", True),
        (b"Connection: Close", b"1.1", False),
        (b"Connection: TE, close", b"1.1", False),
        (b"Connection: keep-alive, upgrade", b"1.1", True),
        (b"Connection: keep-alive", b"1.0", False),
    ],
)
def test_who_ends_the_connection(header: bytes, version: bytes, is_kept: bool) -> None:
    head = parse_head(lines(b"Host: t", header, first=b"GET / HTTP/" + version))
    assert head.keep_alive is is_kept


def test_what_else_is_understood() -> None:
    head = parse_head(lines(b"Host: t", b"Transfer-Encoding: Chunked", b"Expect: 100-Continue"))
    assert (head.is_chunked, head.content_length, head.expects_continue) == (True, None, True)
    assert parse_head(lines(b"Host: t", b"Content-Encoding: identity")).content_length is None
    assert not parse_head(lines(b"Expect: 100-continue", first=b"GET / HTTP/1.0")).expects_continue


def test_a_refusal_says_what_was_asked() -> None:
    with pytest.raises(BadHead) as caught:
        parse_head(lines())
    assert caught.value.line == RequestLine("POST", "/v1/completions", "HTTP/1.1")


@given(st.binary(max_size=300))
@example(b"")
def test_bytes_are_read_or_refused(data: bytes) -> None:
    for whole in (data, lines(b"Host: t", data), data + HEAD_END):
        try:
            read(whole)
        except BadHead as refusal:
            assert refusal.status in (400, 414, 415, 417, 431, 501, 505)


@given(
    st.sampled_from(sorted(METHODS)),
    st.lists(st.tuples(TOKEN, VALUE).filter(lambda field: field[0].lower() not in OWN)),
)
def test_headers_come_back_as_they_were(method: str, fields: list[tuple[str, str]]) -> None:
    block = [f"{name}: {value}".encode("latin-1") for name, value in fields]
    head = parse_head(lines(b"Host: t", *block, first=method.encode() + b" /a HTTP/1.1"))
    assert head.line.method == method
    assert head.headers[1:] == [(name.lower(), value.strip(" \t")) for name, value in fields]


@given(st.binary(min_size=1, max_size=200), st.data())
def test_pieces_are_refused_as_the_whole_is(extra: bytes, data: st.DataObject) -> None:
    """Nothing that is refused while it comes would have been accepted as a whole."""
    whole = lines(b"Host: t", b"A: b" + extra)
    cut = data.draw(st.integers(0, len(whole) - len(HEAD_END)))
    try:
        check_unfinished(whole[:cut], 0)
        check_unfinished(whole[: -len(HEAD_END)], cut)
    except BadHead:
        with pytest.raises(BadHead):
            read(whole)
