"""A socket that gives what it has in pieces."""

from __future__ import annotations

from itertools import chain, repeat


class Pieces:
    """`recv` gives pieces of these sizes, the last size again and again; then the end comes, or
    silence."""

    def __init__(self, data: bytes, sizes: list[int], *, is_silent_then: bool = False) -> None:
        self._data = data
        self._sizes = chain(sizes, repeat(sizes[-1]))
        self._is_silent_then = is_silent_then
        self.timeout = 60.0

    def gettimeout(self) -> float:
        return self.timeout

    def settimeout(self, seconds: float) -> None:
        self.timeout = seconds

    def recv(self, limit: int) -> bytes:
        if not self._data and self._is_silent_then:
            raise TimeoutError
        size = min(limit, next(self._sizes))
        piece, self._data = self._data[:size], self._data[size:]
        return piece
