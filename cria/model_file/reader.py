"""`Reader`: numbers and strings from the beginning of a file, and never more than it holds."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

MAX_STRING_BYTES = 16 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024

_STRING_LENGTH = struct.Struct("<Q")


class BadFile(ValueError):
    """What is in the file makes no sense; the text is the end of a sentence about it."""


class Reader:
    """Reads a file in blocks: one that shrinks meanwhile is an error, as it would not be mapped."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.num_bytes = os.fstat(file.fileno()).st_size
        self._data = b""
        self._start = 0
        """Where `_data` begins in the file."""
        self._next = 0
        """Of `_data`."""

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._start + self._next

    @property
    def num_left(self) -> int:
        """Bytes of the file that are still to be read."""
        return self.num_bytes - self.position

    def numbers(self, layout: struct.Struct) -> tuple[int | float, ...]:
        """As many as the layout has."""
        self._need(layout.size)
        found = layout.unpack_from(self._data, self._next)
        self._next += layout.size
        return found

    def string(self, what: str) -> bytes:
        """A length and so many bytes; `what` is for the sentence."""
        (length,) = self.numbers(_STRING_LENGTH)
        if length > MAX_STRING_BYTES:
            raise BadFile(f"{what} has {length} bytes; {MAX_STRING_BYTES} are the most")
        return self.take(int(length))

    def strings(self, count: int, what: str) -> list[bytes]:
        """So many strings, one behind the other; there may be half a million."""
        found: list[bytes] = []
        while len(found) < count:
            found.append(self.string(what))  # reads the next block where one ends
            found += self._strings_of_block(count - len(found))
        return found

    def _strings_of_block(self, most: int) -> list[bytes]:
        """Those that were read as a whole, without a call for each."""
        data, start, end = self._data, self._next, len(self._data)
        found: list[bytes] = []
        head, length_at = _STRING_LENGTH.size, _STRING_LENGTH.unpack_from
        while len(found) < most and start + head <= end:
            stop = start + head + length_at(data, start)[0]
            if stop > end:
                break
            found.append(data[start + head : stop])
            start = stop
        self._next = start
        return found

    def take(self, num_bytes: int) -> bytes:
        """The next bytes."""
        self._need(num_bytes)
        taken = self._data[self._next : self._next + num_bytes]
        self._next += num_bytes
        return taken

    def _need(self, num_bytes: int) -> None:
        missing = num_bytes - (len(self._data) - self._next)
        if missing <= 0:
            return
        if num_bytes > self.num_left:
            raise BadFile("it ends within its header")
        more = self._file.read(max(missing, min(BLOCK_BYTES, self.num_left - num_bytes + missing)))
        if len(more) < missing:
            raise BadFile("it ends within its header")
        self._start += self._next
        self._data = self._data[self._next :] + more
        self._next = 0
