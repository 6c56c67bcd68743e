"""The body of a request as a stream that ends where the request does, or says why it cannot.

1. What is malformed or cut off is a 400, what is too slow a 408: never a shorter body.
2. `100 Continue` is sent when the application begins to read: it has refused what it refuses then.
3. No gevent and no sockets: a reader with `read_some` and `read_line` gives the bytes.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from werkzeug.exceptions import BadRequest, HTTPException, RequestTimeout

from cria.server.request_head import (
    MAX_HEAD,
    MAX_HEADER_LINE,
    MAX_HEADERS,
    BadHead,
    RequestHead,
    parse_headers,
)

BLOCK = 64 * 1024
MAX_CHUNKS = 65_536
MAX_CHUNK_LINE = 1024
"""Bytes of a chunk's size with its extensions."""
MAX_SKIPPED = 256 * 1024
"""Bytes that are read for nothing so that the connection can be used again."""
WHOLE_BODY = 4
"""The whole body may take so many times what a pause in it may, and a second per `SLOWEST`."""
SLOWEST = 64 * 1024

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t -~\x80-\xff]*)?\r\n")
FORBIDDEN_TRAILERS = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "trailer",
        "transfer-encoding",
    }
)


class Reader(Protocol):
    """A `SocketReader`, as far as bodies need one."""

    def read_some(self, limit: int, seconds: float) -> bytes: ...
    def read_line(self, limit: int, seconds: float) -> bytes: ...


class RequestBody(io.RawIOBase):
    """`wsgi.input`: reading gives what is asked for, less only at the body's end."""

    def __init__(
        self, reader: Reader, head: RequestHead, pause: float, send_continue: Callable[[], None]
    ) -> None:
        self._reader = reader
        self._is_chunked = head.is_chunked
        self._left = head.content_length or 0
        self.is_complete = not self._is_chunked and self._left == 0
        self._pause = pause
        self._waits_for_continue = head.expects_continue and not self.is_complete
        self._send_continue = send_continue
        self._failure: HTTPException | None = None
        self._num_chunks = 0
        self._num_read = 0
        self._started: float | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, all of the rest without one; BadRequest or RequestTimeout."""
        left = -1 if size is None else size
        pieces = []
        while left != 0 and not self.is_complete:
            piece = self._read_piece(left if left > 0 else BLOCK)
            left -= len(piece) if left > 0 else 0
            pieces.append(piece)
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    @property
    def can_be_skipped(self) -> bool:
        """Whether what is left is known to be little, and is on its way."""
        if self.is_complete:
            return True
        is_known = not self._is_chunked and not self._failure and not self._waits_for_continue
        return is_known and self._left <= MAX_SKIPPED

    def skip(self, seconds: float) -> bool:
        """Read the rest for nothing; whether its end was reached in time."""
        deadline = time.monotonic() + seconds
        while not self.is_complete:
            if not self.can_be_skipped or (left := deadline - time.monotonic()) <= 0:
                return False
            data = self._reader.read_some(min(self._left, BLOCK), left)
            if not data:
                return False
            self._left -= len(data)
            self.is_complete = self._left == 0
        return True

    def _discard(self) -> None:
        """gevent's name for `skip`, which `server.http` does itself."""

    def _read_piece(self, limit: int) -> bytes:
        if self._failure:
            raise self._failure
        if self._waits_for_continue:
            self._waits_for_continue = False
            self._send_continue()
        if self._is_chunked and self._left == 0:
            self._begin_chunk()
            if self.is_complete:
                return b""
        data = self._receive(min(limit, self._left, BLOCK))
        self._left -= len(data)
        if self._left == 0:
            self._end_piece()
        return data

    def _end_piece(self) -> None:
        if not self._is_chunked:
            self.is_complete = True
        elif self._line(2) != b"\r\n":
            self._fail(BadRequest("A chunk of the request body is not as long as it says."))

    def _begin_chunk(self) -> None:
        self._num_chunks += 1
        found = _CHUNK_LINE.fullmatch(self._line(MAX_CHUNK_LINE))
        if found is None:
            self._fail(BadRequest("The request body is malformed or ended early."))
        if self._num_chunks > MAX_CHUNKS:
            self._fail(BadRequest(f"The request body has more than {MAX_CHUNKS} chunks."))
        self._left = int(found[1], 16)
        if self._left == 0:
            self._read_trailers()
            self.is_complete = True

    def _read_trailers(self) -> None:
        """They are checked like headers, and say nothing that anybody needs."""
        lines: list[bytes] = []
        size = 0
        while (line := self._line(MAX_HEADER_LINE + 2)) != b"\r\n":
            size += len(line)
            if not line.endswith(b"\r\n") or size > MAX_HEAD or len(lines) >= MAX_HEADERS:
                self._fail(BadRequest("The trailers of the request body are malformed."))
            lines.append(line[:-2])
        try:
            names = {name for name, _ in parse_headers(lines)}
        except BadHead as refusal:
            self._fail(BadRequest(str(refusal)))
        if names & FORBIDDEN_TRAILERS:
            self._fail(BadRequest("A trailer has a name that only a header may have."))

    def _line(self, limit: int) -> bytes:
        try:
            return self._reader.read_line(limit, self._seconds())
        except TimeoutError:
            self._fail(RequestTimeout("The request body came too slowly."))

    def _receive(self, limit: int) -> bytes:
        try:
            data = self._reader.read_some(limit, self._seconds())
        except TimeoutError:
            self._fail(RequestTimeout("The request body came too slowly."))
        if not data:
            self._fail(BadRequest("The request body is malformed or ended early."))
        self._num_read += len(data)
        return data

    def _seconds(self) -> float:
        """How long the next bytes may take; TimeoutError if the body has had its time."""
        now = time.monotonic()
        if self._started is None:
            self._started = now
        whole = WHOLE_BODY * self._pause + self._num_read / SLOWEST
        if (left := self._started + whole - now) <= 0:
            raise TimeoutError
        return min(self._pause, left)

    def _fail(self, failure: HTTPException) -> NoReturn:
        self._failure = failure
        raise failure
