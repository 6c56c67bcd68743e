"""Bytes of one connection, read in blocks and handed out in heads, lines and pieces.

A socket's own timeout is that of writing; every read brings its own limit in seconds.
"""

from __future__ import annotations

import time
from typing import Any

from cria.server.request_head import HEAD_END, check_unfinished

BLOCK = 64 * 1024


class SocketReader:
    """What has come and nobody has taken yet; at most a block more than a head or a line."""

    closed = False

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self._buffer = bytearray()

    @property
    def has_bytes(self) -> bool:
        """Whether something waits to be taken without asking the socket."""
        return bool(self._buffer)

    def wait(self, seconds: float) -> bool:
        """Whether anything comes; no byte within the time is the same as the end."""
        try:
            return self.has_bytes or self._receive(seconds)
        except TimeoutError:
            return False

    def read_head(self, seconds: float) -> bytes | None:
        """A whole head; None if the connection ends before, TimeoutError if the time does.

        One empty line before it is skipped: old clients send one after a body. BadHead of what
        cannot become a head any more.
        """
        deadline = time.monotonic() + seconds
        checked = 0
        while True:
            if checked == 0 and self._buffer.startswith(b"\r\n"):
                del self._buffer[:2]
            end = self._buffer.find(HEAD_END, max(0, checked - 3))
            if end >= 0:
                check_unfinished(self._buffer[: end + 2], checked)
                return self._take(end + len(HEAD_END))
            check_unfinished(self._buffer, checked)
            checked = 0 if self._buffer == b"\r" else len(self._buffer)
            if not self._receive(_left(deadline)):
                return None

    def read_line(self, limit: int, seconds: float) -> bytes:
        """A line with its end; shorter than that or as long as the limit if there is none."""
        deadline = time.monotonic() + seconds
        while (end := self._buffer.find(b"\n", 0, limit)) < 0 and len(self._buffer) < limit:
            if not self._receive(_left(deadline)):
                return self._take(len(self._buffer))
        return self._take(end + 1 if end >= 0 else limit)

    def read_some(self, limit: int, seconds: float) -> bytes:
        """At least one byte, at most the limit; none at the end of the connection."""
        if not self._buffer and not self._receive(seconds):
            return b""
        return self._take(min(limit, len(self._buffer)))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _receive(self, seconds: float) -> bool:
        sock = self._socket
        for_writing = sock.gettimeout()
        sock.settimeout(seconds)
        try:
            block = sock.recv(BLOCK)
        finally:
            sock.settimeout(for_writing)
        self._buffer += block
        return bool(block)


def _left(deadline: float) -> float:
    """Seconds; TimeoutError if there are none."""
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left
