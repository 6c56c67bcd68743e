"""A program in a terminal of its own: what a user types, and what the screen gets."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 30.0
LOST_SECONDS = 1.0
REPOSITORY = Path(__file__).parents[1]

# The terminal has to be the program's own, or its Ctrl-C would be no signal.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """The user's side."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process = process
        self._screen = screen
        self.shown = b""

    def type(self, text: str) -> None:
        """Keys; a line ends with "\\r"."""
        os.write(self._screen, text.encode())

    def interrupt_until(self, is_heard: Callable[[], bool]) -> None:
        """Ctrl-C; again if nothing comes of it.

        Python loses one that comes just when it begins to wait for a key.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        heard = False
        while not heard:
            assert time.monotonic() < deadline, self.shown
            self.type("\x03")
            again = time.monotonic() + LOST_SECONDS
            while not (heard := is_heard()) and time.monotonic() < again:
                self._read(0.01)

    def has_shown(self, text: str) -> bool:
        """Whether this text is on the screen, or was, since the last one that was waited for."""
        return text.encode() in self.shown

    def _read(self, seconds: float) -> bool:
        ready = bool(select.select([self._screen], [], [], max(0, seconds))[0])
        if ready:
            try:
                self.shown += os.read(self._screen, 65536)
            except OSError:  # Linux's way to say that the program has closed its side
                return False
        return ready

    def wait_for(self, text: str) -> str:
        """What is shown up to this text, which the next call does not see again."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text.encode() not in self.shown:
            assert self._read(deadline - time.monotonic()), self.shown
        before, _, self.shown = self.shown.partition(text.encode())
        return before.decode(errors="replace")


@contextmanager
def terminal(*arguments: str, **environment: str) -> Iterator[Terminal]:
    """`python -m ARGUMENTS` in a terminal; killed at the end if it has not ended."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", _TAKE_TERMINAL, sys.executable, "-m", *arguments]
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
