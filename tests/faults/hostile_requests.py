"""Requests that no honest client sends, and the status with which each must be refused."""

from __future__ import annotations

from typing import NamedTuple

PATH = b"/v1/completions"


class Hostile(NamedTuple):
    """Bytes of a client, and the answer that ends the connection."""

    name: str
    data: bytes
    status: int


def lines(*more: bytes, first: bytes = b"POST " + PATH + b" HTTP/1.1") -> bytes:
    """A head with these lines."""
    return b"\r\n".join((first, *more, b"", b""))


def with_headers(*more: bytes) -> bytes:
    """A head that would be valid without these headers, and some body."""
    return lines(b"Host: t", *more) + b"hello"


def chunks(body: bytes) -> bytes:
    return lines(b"Host: t", b"Transfer-Encoding: chunked") + body


LENGTHS = [
    Hostile(f"length {value!r}", with_headers(b"Content-Length: " + value), 400)
    for value in (
        b"+3",
        b"-1",
        b"1_0",
        b"3,3",
        b"0x3",
        b"",
        b"3 3",
        b"1.0",
        b"\xb2",
        b"9" * 31,
        b"9" * 5000,
    )
] + [
    Hostile("two lengths", with_headers(b"Content-Length: 5", b"Content-Length: 6"), 400),
    Hostile("one length twice", with_headers(b"Content-Length: 5", b"Content-Length: 5"), 400),
    Hostile(
        "length and coding", with_headers(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400
    ),
]

CODINGS = [
    Hostile(f"coding {value!r}", with_headers(b"Transfer-Encoding: " + value), 400)
    for value in (
        b"gzip, chunked",
        b"chunked, chunked",
        b"identity",
        b"xchunked",
        b"chunked;a=b",
        b"\x0bchunked",
        b"\xa0chunked",
        b"",
    )
] + [
    Hostile(
        "two codings",
        with_headers(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
        400,
    ),
    Hostile("blank before the colon", with_headers(b"Transfer-Encoding : chunked"), 400),
    Hostile(
        "coding in HTTP/1.0",
        lines(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"),
        400,
    ),
    Hostile("compressed body", with_headers(b"Content-Length: 5", b"Content-Encoding: gzip"), 415),
    Hostile("compressed twice", with_headers(b"Content-Encoding: gzip, gzip"), 415),
]

FIELDS = [
    Hostile("no colon", with_headers(b"no colon here", b"Authorization: Bearer k"), 400),
    Hostile("folded line", with_headers(b"A: b", b" c"), 400),
    Hostile("folded first line", lines(b" Host: t"), 400),
    Hostile("NUL in a value", with_headers(b"A: b\x00c"), 400),
    Hostile("control character in a value", with_headers(b"A: b\x07c"), 400),
    Hostile("return in a value", with_headers(b"A: b\rTransfer-Encoding: chunked"), 400),
    Hostile("vertical tab in a value", with_headers(b"A: \x0b"), 400),
    Hostile("delete in a value", with_headers(b"A: \x7f"), 400),
    Hostile("empty name", with_headers(b": b"), 400),
    Hostile("name that is not ASCII", with_headers(b"\xc3\xa4: b"), 400),
    Hostile("name with a bracket", with_headers(b"A[0]: b"), 400),
    Hostile("bare line feeds", b"GET / HTTP/1.1\nHost: t\n\n", 400),
    Hostile("one bare line feed", b"GET / HTTP/1.1\r\nHost: t\nA: b\r\n\r\n", 400),
    Hostile("other expectation", with_headers(b"Content-Length: 5", b"Expect: foo"), 417),
    Hostile("two expectations", with_headers(b"Expect: 100-continue, foo"), 417),
]

LINES = [
    Hostile("HTTP/0.9", b"GET /\r\n", 400),
    Hostile("HTTP/1.2", lines(b"Host: t", first=b"GET / HTTP/1.2"), 505),
    Hostile("HTTP/3.0", lines(b"Host: t", first=b"GET / HTTP/3.0"), 505),
    Hostile("HTTP/01.1", lines(b"Host: t", first=b"GET / HTTP/01.1"), 400),
    Hostile("http/1.1", lines(b"Host: t", first=b"GET / http/1.1"), 400),
    Hostile("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Hostile("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400),
    Hostile("no words", b"\r\n\r\n\r\n", 400),
    Hostile("vertical tab for a blank", lines(b"Host: t", first=b"GET\x0b/ HTTP/1.1"), 400),
    Hostile("hard space for a blank", lines(b"Host: t", first=b"GET\xa0/ HTTP/1.1"), 400),
    Hostile("next line for a blank", lines(b"Host: t", first=b"GET\x85/ HTTP/1.1"), 400),
    Hostile("two blanks", lines(b"Host: t", first=b"GET  / HTTP/1.1"), 400),
    Hostile("blank at the end", lines(b"Host: t", first=b"GET / HTTP/1.1 "), 400),
    Hostile("NUL in the path", lines(b"Host: t", first=b"GET /\x00 HTTP/1.1"), 400),
    Hostile("escape in the path", lines(b"Host: t", first=b"GET /\x1b[31m HTTP/1.1"), 400),
    Hostile("fragment", lines(b"Host: t", first=b"GET /#a HTTP/1.1"), 400),
    Hostile("control character in a method", lines(b"Host: t", first=b"G\x01T / HTTP/1.1"), 400),
    Hostile("lower-case method", lines(b"Host: t", first=b"get / HTTP/1.1"), 501),
    Hostile("unknown method", lines(b"Host: t", first=b"BREW / HTTP/1.1"), 501),
    Hostile("tunnel", lines(b"Host: t", first=b"CONNECT t:443 HTTP/1.1"), 501),
]

TARGETS = [
    Hostile("no host", lines(first=b"GET / HTTP/1.1"), 400),
    Hostile("two hosts", lines(b"Host: a", b"Host: b", first=b"GET / HTTP/1.1"), 400),
    Hostile("one host twice", lines(b"Host: a", b"Host: a", first=b"GET / HTTP/1.1"), 400),
    Hostile("two hosts in one", lines(b"Host: a,b c", first=b"GET / HTTP/1.1"), 400),
    Hostile("host with a path", lines(b"Host: a/b", first=b"GET / HTTP/1.1"), 400),
    Hostile("host with a user", lines(b"Host: a@b", first=b"GET / HTTP/1.1"), 400),
    Hostile("a name for a path", lines(b"Host: t", first=b"GET t:80 HTTP/1.1"), 400),
    Hostile("asterisk", lines(b"Host: t", first=b"GET * HTTP/1.1"), 400),
    Hostile("no slash", lines(b"Host: t", first=b"GET health HTTP/1.1"), 400),
    Hostile("URL of a file", lines(b"Host: t", first=b"GET file:///etc/passwd HTTP/1.1"), 400),
    Hostile("URL without a host", lines(b"Host: t", first=b"GET http:///health HTTP/1.1"), 400),
    Hostile("URL with a user", lines(b"Host: t", first=b"GET http://a@t/ HTTP/1.1"), 400),
]

SIZES = [
    Hostile("long request line", lines(b"Host: t", first=b"GET /" + b"x" * 9000), 414),
    Hostile("endless request line", b"GET /" + b"x" * 70_000, 414),
    Hostile("many headers", with_headers(*[b"A: b"] * 100), 431),
    Hostile("long header", with_headers(b"A: " + b"x" * 8192), 431),
    Hostile("large head", with_headers(*[b"A: " + b"x" * 8000] * 9), 431),
    Hostile("endless head", lines(b"Host: t")[:-2] + b"A: b\r\n" * 20_000, 431),
]

CHUNKS = [
    Hostile(f"chunk {body[:30]!r}", chunks(body), 400)
    for body in (
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"0000000000000000f\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5;" + b"x" * 9216 + b"\r\nhello\r\n0\r\n\r\n",
        b"5;a\x00\r\nhello\r\n0\r\n\r\n",
        b"4\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
        b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5\r\nhello\r\n0\r\nAuthorization: Bearer k\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        b"5\r\nhello\r\n0\r\nA: " + b"x" * 9000 + b"\r\n\r\n",
        b"5\r\nhello\r\n0\r\nA: b\n\r\n",
        b"1\r\n \r\n" * 70_000 + b"0\r\n\r\n",
    )
]

HEADS = [*LENGTHS, *CODINGS, *FIELDS, *LINES, *TARGETS, *SIZES]
"""What the head alone condemns."""
EVERY = [*HEADS, *CHUNKS]

CUT_SHORT = [
    chunks(b""),
    chunks(b"5\r\nhel"),
    chunks(b"5\r\nhello"),
    chunks(b"5\r\nhello\r\n"),
    chunks(b"5\r\nhello\r\n0\r\n"),
    lines(b"Host: t", b"Content-Length: 9") + b"hello",
]
"""Requests after which the client ends its half."""
