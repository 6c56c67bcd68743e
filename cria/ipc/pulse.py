"""`Pulse`: the engine's signs of life, in a page of memory that its supervisor reads.

No frame can be late here, and none can fill a buffer: the engine counts, in its own time, and who
wants to know looks. llama.cpp counts too, from within a long computation.
"""

from __future__ import annotations

import mmap
import os
import tempfile

PAGE_BYTES = 4096
_BEATS, _NATIVE, _USUAL_MS = range(3)


class Pulse:
    """64-bit counters in shared memory."""

    def __init__(self, descriptor: int) -> None:
        """Map the file behind `descriptor`, which is closed; OSError if that is impossible."""
        try:
            self._page = mmap.mmap(descriptor, PAGE_BYTES)
        finally:
            os.close(descriptor)
        self._counters = memoryview(self._page).cast("Q")

    @property
    def signs(self) -> int:
        """Grows as long as the engine does something."""
        return self._counters[_BEATS] + self._counters[_NATIVE]

    @property
    def usual_seconds(self) -> float:
        """What a step has taken in the median; 0 if there was none yet."""
        return self._counters[_USUAL_MS] / 1000

    @property
    def native_counter(self) -> memoryview:
        """For native code, which adds to it: 8 bytes."""
        return self._counters[_NATIVE : _NATIVE + 1]

    def beat(self) -> None:
        """Something was done."""
        self._counters[_BEATS] += 1

    def tell_usual(self, seconds: float) -> None:
        """What a step takes in the median."""
        self._counters[_USUAL_MS] = int(seconds * 1000)


def make_page() -> int:
    """A descriptor of a page of zeros, to be inherited; OSError if there can be none."""
    with tempfile.TemporaryFile() as file:
        file.truncate(PAGE_BYTES)
        return os.dup(file.fileno())
