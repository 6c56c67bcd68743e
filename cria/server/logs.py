"""Where a server process writes: standard error line by line, standard output once.

Neither is worth an end: a full disk, or a reader that has gone, costs lines, which are counted.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LineHandler(logging.Handler):
    """Writes each record with one system call; nothing waits in a buffer for a better time."""

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(LOG_FORMAT))
        self._descriptor = descriptor
        self.num_lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        if self.num_lost:
            text = f"({self.num_lost} lines of the log were lost)\n{text}"
        try:
            write(self._descriptor, text + "\n")
            self.num_lost = 0
        except OSError:
            self.num_lost += 1


def start(log_level: str) -> None:
    """Log from this level on."""
    logging.basicConfig(level=log_level.upper(), handlers=[LineHandler()])


def write(descriptor: int, text: str) -> None:
    """All of it; OSError if that cannot be."""
    data = text.encode(errors="backslashreplace")
    while data:
        data = data[os.write(descriptor, data) :]


def say_anyway(say: Callable[[str], None], text: str) -> None:
    """Say it; if nobody can hear, go on, with a standard output that takes everything."""
    try:
        say(text)
    except OSError as error:
        logging.getLogger(__name__).warning("standard output cannot be written: %s", error)
        # Python would try again at its end, and end with a failure.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.__stdout__.fileno() if sys.__stdout__ else 1)
        os.close(null)
