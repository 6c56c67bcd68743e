"""The head of a request, from its bytes: one strict reading, or a refusal.

1. Who reads a request's end or its headers otherwise than a proxy in front of it lets requests be
   smuggled past that proxy. So what RFC 9112 leaves open is refused here: bare line feeds, folded
   lines, repeated lengths, other codings than `chunked`.
2. Sizes are limited while the bytes arrive (`check_unfinished`), not when they are complete.
3. Pure: bytes in, `RequestHead` out or `BadHead` raised. Sockets and time are `server.http`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MAX_REQUEST_LINE = 8192
MAX_HEADER_LINE = 8192
MAX_HEADERS = 100
MAX_HEAD = 64 * 1024
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
"""Those that mean something; which of them a route takes is the application's to say."""
HEAD_END = b"\r\n\r\n"

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([!\"$-~]+) HTTP/([0-9]\.[0-9])")
_HEADER_LINE = re.compile(rb"(" + _TOKEN + rb"):([\t -~\x80-\xff]*)")
_ABSOLUTE = re.compile(r"https?://([^/?]*)(/[^?]*)?(\?.*)?", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(:[0-9]{0,5})?")
_LENGTH = re.compile(r"[0-9]{1,18}")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_NOT_IN_LINE = re.compile(rb"[^ -~\r]|\r(?=[^\n])")


class RequestLine(NamedTuple):
    """The first line; an absolute target has been split into `host` and what follows it."""

    method: str
    target: str
    version: str
    host: str | None = None


class RequestHead(NamedTuple):
    """What a valid head says; names are lower case, values latin-1 text without outer blanks."""

    line: RequestLine
    headers: Sequence[tuple[str, str]]
    content_length: int | None
    is_chunked: bool
    keep_alive: bool
    expects_continue: bool


class BadHead(Exception):
    """A head that is answered with `status` and the end of the connection."""

    def __init__(self, status: int, message: str, line: RequestLine | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.line = line


def check_unfinished(data: bytes | bytearray, start: int) -> None:
    """BadHead as soon as nothing that may follow makes the head valid; bytes before `start` are
    checked already."""
    if _BARE_LF.search(data, start):
        raise BadHead(400, "A line ends without a carriage return.")
    end = data.find(b"\r\n")
    if end >= 0:
        if end + 2 > start:
            parse_request_line(bytes(data[:end]))
        if len(data) > MAX_HEAD:
            raise _head_too_large()
    elif len(data) > MAX_REQUEST_LINE:
        raise _line_too_long()
    elif _NOT_IN_LINE.search(data, max(0, start - 1)):
        raise BadHead(400, "This is not a valid HTTP request.")


def parse_head(data: bytes) -> RequestHead:
    """A whole head, up to and with its empty line; BadHead if anything in it is in doubt."""
    first, _, block = data.removesuffix(HEAD_END).partition(b"\r\n")
    line = parse_request_line(first)
    try:
        if len(data) > MAX_HEAD:
            raise _head_too_large()
        return _read_headers(line, parse_headers(block.split(b"\r\n") if block else []))
    except BadHead as refusal:
        refusal.line = line
        raise


def parse_request_line(line: bytes) -> RequestLine:
    """Method, target and version, without the line's end."""
    if len(line) > MAX_REQUEST_LINE:
        raise _line_too_long()
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise BadHead(400, "This is not a valid HTTP request.")
    method, target, version = (part.decode("ascii") for part in found.groups())
    if version not in ("1.0", "1.1"):
        raise BadHead(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    if method not in METHODS:
        raise BadHead(501, "This method is not supported.")
    return _with_target(method, target, f"HTTP/{version}")


def parse_headers(lines: Sequence[bytes]) -> list[tuple[str, str]]:
    """Names and values of header or trailer lines."""
    if len(lines) > MAX_HEADERS:
        raise BadHead(431, f"There are more than {MAX_HEADERS} headers.")
    return [_parse_header(line) for line in lines]


def _parse_header(line: bytes) -> tuple[str, str]:
    if len(line) > MAX_HEADER_LINE:
        raise BadHead(431, f"A header is longer than {MAX_HEADER_LINE} bytes.")
    found = _HEADER_LINE.fullmatch(line)
    if found is None:
        raise BadHead(400, "A header line is malformed.")
    return found[1].decode("ascii").lower(), found[2].strip(b" \t").decode("latin-1")


def _with_target(method: str, target: str, version: str) -> RequestLine:
    if target.startswith("/") or (target == "*" and method == "OPTIONS"):
        return RequestLine(method, target, version)
    found = _ABSOLUTE.fullmatch(target)
    if found is None or not found[1] or not _HOST.fullmatch(found[1]):
        raise BadHead(400, "The request's target is neither a path nor a URL.")
    return RequestLine(method, (found[2] or "/") + (found[3] or ""), version, found[1])


def _read_headers(line: RequestLine, headers: list[tuple[str, str]]) -> RequestHead:
    """Check the headers that this layer acts on."""
    by_name: dict[str, list[str]] = {}
    for name, value in headers:
        by_name.setdefault(name, []).append(value)
    _check_host(line, by_name.get("host", []))
    length = _content_length(by_name.get("content-length", []))
    is_chunked = _is_chunked(line, by_name.get("transfer-encoding", []))
    if is_chunked and length is not None:
        raise BadHead(400, "Content-Length and Transfer-Encoding exclude each other.")
    if any(c.lower() != "identity" for c in words(by_name.get("content-encoding", []))):
        raise BadHead(415, "Bodies are taken without a Content-Encoding only.")
    tokens = {word.lower() for word in words(by_name.get("connection", []))}
    return RequestHead(
        line,
        headers,
        length,
        is_chunked,
        # An HTTP/1.0 client cannot tell where a stream ends but by the connection's end.
        keep_alive=line.version == "HTTP/1.1" and "close" not in tokens,
        expects_continue=_expects_continue(line, by_name),
    )


def words(values: Sequence[str]) -> list[str]:
    """The comma-separated words of all headers of one name."""
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _check_host(line: RequestLine, hosts: Sequence[str]) -> None:
    if len(hosts) > 1 or (not hosts and line.version == "HTTP/1.1"):
        raise BadHead(400, "There must be exactly one Host header.")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise BadHead(400, "The Host header is malformed.")


def _content_length(lengths: Sequence[str]) -> int | None:
    if not lengths:
        return None
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise BadHead(400, "Content-Length is not one whole number.")
    return int(lengths[0])


def _is_chunked(line: RequestLine, codings: Sequence[str]) -> bool:
    if not codings:
        return False
    if [coding.lower() for coding in codings] != ["chunked"]:
        raise BadHead(400, "The only supported Transfer-Encoding is chunked.")
    if line.version == "HTTP/1.0":
        raise BadHead(400, "HTTP/1.0 has no Transfer-Encoding.")
    return True


def _expects_continue(line: RequestLine, by_name: Mapping[str, Sequence[str]]) -> bool:
    expected = [word.lower() for word in words(by_name.get("expect", []))]
    if not expected or line.version == "HTTP/1.0":
        return False
    if set(expected) != {"100-continue"}:
        raise BadHead(417, "The only supported expectation is 100-continue.")
    return True


def _line_too_long() -> BadHead:
    return BadHead(414, "The request line is too long.")


def _head_too_large() -> BadHead:
    return BadHead(431, f"The headers are larger than {MAX_HEAD} bytes.")
