"""What is true of every child process: how it ended, how to end it, when to start the next one."""

from __future__ import annotations

import signal
import subprocess

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
LONG_LIFE_SECONDS = 60.0
"""A process that served for so long did not die of its start."""
EXIT_SECONDS = 3.0
"""For a process that was told to end, until it is killed."""


class Backoff:
    """Pauses before the next start: short after a long life, longer and longer after short ones."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS

    def next_pause(self, lived_seconds: float) -> float:
        """Seconds to wait now."""
        if lived_seconds > LONG_LIFE_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return pause


def reap(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process that was told to end; one that hangs is killed. Its exit code."""
    try:
        return process.wait(EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def describe_exit(code: int) -> str:
    """What to say after the name of the process."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
