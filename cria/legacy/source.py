"""`Source`: a file that is read forward, in pieces, and never beyond its end."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from cria.legacy.formats import ALIGNMENT
from cria.model_file.reader import BadFile

BLOCK_BYTES = 1024 * 1024
"""Of weights at once; what is computed with several times as many leaves the processor's cache."""


class Source:
    """Every size is compared with what is left before anything is read or kept."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.num_bytes = os.fstat(file.fileno()).st_size
        self.position = 0
        """Bytes from the beginning."""

    @property
    def num_left(self) -> int:
        return self.num_bytes - self.position

    def take(self, num_bytes: int, section: str) -> bytes:
        """The next bytes; BadFile names the section in which they are missing."""
        self._need(num_bytes, section)
        data = self._file.read(num_bytes)
        if len(data) < num_bytes:
            raise BadFile(f"it has become shorter while it was read, in {section}")
        self.position += num_bytes
        return data

    def numbers(self, layout: str, section: str) -> tuple[int, ...]:
        """Unsigned numbers of four bytes, or what else a layout of `struct` says."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout), section))

    def skip(self, num_bytes: int, section: str) -> None:
        """Go on behind so many bytes, which are there."""
        self._need(num_bytes, section)
        self.seek(self.position + num_bytes)

    def skip_padding(self, section: str) -> None:
        """To the next multiple of 32; what is skipped has to be zero."""
        if any(self.take(-self.position % ALIGNMENT, section)):
            raise BadFile(f"its padding at offset {self.position} in {section} is not zero")

    def seek(self, position: int) -> None:
        self._file.seek(position)
        self.position = position

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer from here; how many bytes came, fewer only at the end."""
        done = 0
        while done < len(buffer) and (
            count := self._file.readinto(buffer[done:])  # type: ignore[attr-defined]  # BinaryIO
        ):
            done += count
        self.position += done
        return done

    def _need(self, num_bytes: int, section: str) -> None:
        if num_bytes > self.num_left:
            raise BadFile(
                f"it is truncated at offset {self.num_bytes} in {section}: "
                f"{num_bytes - self.num_left} bytes are missing"
            )
