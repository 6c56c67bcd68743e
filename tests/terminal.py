"""A program in a terminal of its own: what a user types, and what the screen gets."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 30.0
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

    def wait_for(self, text: str) -> str:
        """What is shown up to this text, which the next call does not see again."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text.encode() not in self.shown:
            left = deadline - time.monotonic()
            assert select.select([self._screen], [], [], max(0, left))[0], self.shown
            self.shown += os.read(self._screen, 65536)
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
        with process:
            yield Terminal(process, ours)
            process.kill()
    finally:
        process.kill()
        os.close(ours)
