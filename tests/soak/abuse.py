"""Bytes on a socket that are no proper request, and how they may be answered."""

from __future__ import annotations

from typing import NamedTuple

from tests.soak.settings import KEY

_AUTH = f"Authorization: Bearer {KEY}\r\n".encode()
_POST = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n" + _AUTH
_BODY = b'{"model": "tiny", "prompt": "hello", "max_tokens": 2}'


class Abuse(NamedTuple):
    """What is sent, and which status the first answer may have."""

    name: str
    data: bytes
    statuses: frozenset[int]
    """Empty: the client hangs up without waiting for an answer."""


def _refused(name: str, data: bytes, *statuses: int) -> Abuse:
    return Abuse(name, data, frozenset(statuses or (400,)))


ABUSES = (
    _refused("noise", bytes(range(256)) * 4 + b"\r\n\r\n"),
    _refused("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    _refused("two lengths", _POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    _refused(
        "length and coding",
        _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    _refused("signed length", _POST + b"Content-Length: +5\r\n\r\nhello"),
    _refused("negative length", _POST + b"Content-Length: -5\r\n\r\nhello"),
    _refused("huge length", _POST + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n", 400, 413, 431),
    _refused("other coding", _POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400, 501),
    _refused("bad chunk", _POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"),
    _refused("no colon", _POST + b"A header without\r\nContent-Length: 0\r\n\r\n"),
    _refused(
        "long line", b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400, 414, 431
    ),
    Abuse(
        "upgrade",
        _POST
        + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        + b"Content-Length: %d\r\n\r\n" % len(_BODY)
        + _BODY,
        frozenset({200, 429, 503}),
    ),
    Abuse("half a head", b"POST /v1/completions HTT", frozenset()),
    Abuse("half a body", _POST + b'Content-Length: 500\r\n\r\n{"model": "ti', frozenset()),
    Abuse("nothing", b"", frozenset()),
    Abuse(
        "two at once",
        (_POST + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY) * 2,
        frozenset({200, 429, 503}),
    ),
)
