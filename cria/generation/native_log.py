"""`NativeLog`: the standard error of the engine process, read so that it never waits.

What the engine and llama.cpp write there becomes lines of this process's log, so many a second and
no more; the last 64 KiB stay for the obituary. The engine's end of the pipe does not block: what
nobody takes in time is lost, as it would be at the end of a full disk.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time

logger = logging.getLogger("cria.engine")

RING_BYTES = 64 * 1024
LINES_PER_SECOND, BURST_LINES = 20, 200
MAX_LINE_BYTES = 4096
READ_BYTES = 64 * 1024
POLL_MS = 1000
CLOSE_SECONDS = 1.0

LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}


def make_pipe() -> tuple[int, int]:
    """The descriptors to read from and to write to; neither of them blocks."""
    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.set_blocking(descriptor, False)
    return reading, writing


class NativeLog:
    """Of one process."""

    def __init__(self, descriptor: int) -> None:
        """Read to the end of the pipe, in a thread, and close it then."""
        self._descriptor = descriptor
        self._ring = bytearray()
        self._begun = b""
        self._budget = _Budget(LINES_PER_SECOND, BURST_LINES)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="engine log", daemon=True)
        self._thread.start()

    def lines(self) -> list[str]:
        """The last ones, the oldest first."""
        return bytes(self._ring).decode("utf-8", "replace").splitlines()

    def close(self) -> None:
        """After the process's end: read what is left, also where a grandchild holds the pipe."""
        self._thread.join(CLOSE_SECONDS)
        self._stopping = True
        self._thread.join(2 * CLOSE_SECONDS)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        try:
            while not self._stopping:
                if poll.poll(POLL_MS) and not self._read():
                    break
            self._log_lines(self._begun)
            self._budget.report()
        finally:
            os.close(self._descriptor)

    def _read(self) -> bool:
        """Whether there may be more."""
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._ring += data
        del self._ring[:-RING_BYTES]
        whole, end, self._begun = (self._begun + data).rpartition(b"\n")
        if end:
            self._log_lines(whole)
        self._begun = self._begun[-MAX_LINE_BYTES:]
        return bool(data)

    def _log_lines(self, data: bytes) -> None:
        for line in data.splitlines():
            if line.strip() and self._budget.take():
                _log(line[:MAX_LINE_BYTES].decode("utf-8", "replace"))


class _Budget:
    """So many lines a second, and how many there were beyond."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, burst
        self._left, self._last = float(burst), time.monotonic()
        self._num_lost = 0

    def take(self) -> bool:
        """Whether one more may pass."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._last) * self._per_second)
        self._last = now
        if self._left < 1:
            self._num_lost += 1
            return False
        self._left -= 1
        self.report()
        return True

    def report(self) -> None:
        if self._num_lost:
            logger.warning("%d lines of the engine were too many", self._num_lost)
            self._num_lost = 0


def _log(line: str) -> None:
    """The engine's own lines begin with their level; llama.cpp's and C's begin with anything."""
    word, _, rest = line.partition(" ")
    level = LEVELS.get(word)
    shown = "".join(c if c.isprintable() or c == "\t" else "?" for c in (rest if level else line))
    logger.log(level or logging.WARNING, "%s", shown)
