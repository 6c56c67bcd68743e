"""`Stopping`: how far this process is on its way to its end.

1. SIGTERM is the operator's or the supervisor's wish: health checks fail at once, everything else
   is served for the drain delay, then what runs may end within the drain timeout.
2. SIGINT is somebody's Ctrl-C: no delay, and a shorter time.
3. The next signal of either kind means now. Two that come together count as one: `timeout` and
   some supervisors signal a process and then its group.

Pure but for the clock and an event; the threads here are greenlets in a server process.
"""

from __future__ import annotations

import threading
import time
from enum import IntEnum

INTERRUPT_SECONDS = 5.0
"""For what runs when somebody presses Ctrl-C."""
TOGETHER_SECONDS = 0.1


class Phase(IntEnum):
    """In this order, and never back."""

    STARTING = 0
    SERVING = 1
    DRAINING = 2
    """Health checks fail, requests are served, connections end after their answer."""
    CLOSED = 3
    """Nobody can connect; what runs may end; further requests are refused."""
    ENDING = 4
    """What still runs is told that the server stops."""


class Stopping:
    """One process's; the first wish sets the times, the second one means now."""

    def __init__(self, delay: float = 0.0, timeout: float = 0.0) -> None:
        self.phase = Phase.STARTING
        self._times = (delay, timeout)
        self._asked, self._now = threading.Event(), threading.Event()
        self._asked_at = 0.0

    def begin(self, delay: float, timeout: float) -> None:
        """From here on an end is prepared; before, the process may just end."""
        self._times = (delay, timeout)
        self.phase = max(self.phase, Phase.SERVING)

    def ask(self, *, is_interrupt: bool = False) -> None:
        """Drain; if that was asked before: end now."""
        if not self._asked.is_set():
            delay, timeout = self._times
            self._times = (0.0, min(timeout, INTERRUPT_SECONDS)) if is_interrupt else self._times
            self._asked_at = time.monotonic()
            self.phase = max(self.phase, Phase.DRAINING)
            self._asked.set()
        elif time.monotonic() - self._asked_at >= TOGETHER_SECONDS:
            self.end()

    def end(self) -> None:
        """End now."""
        self.phase = Phase.ENDING
        self._now.set()
        self._asked.set()

    def close(self) -> None:
        """Nobody can connect any more."""
        self.phase = max(self.phase, Phase.CLOSED)

    @property
    def delay(self) -> float:
        """Seconds for which requests are served after the wish."""
        return self._times[0]

    @property
    def timeout(self) -> float:
        """Seconds for what runs then."""
        return self._times[1]

    @property
    def is_draining(self) -> bool:
        return self.phase >= Phase.DRAINING

    @property
    def is_closed(self) -> bool:
        return self.phase >= Phase.CLOSED

    def wait(self) -> None:
        """Until somebody wants the end."""
        self._asked.wait()

    def wait_for_end(self, seconds: float) -> bool:
        """Whether the end was wanted now, within so many seconds."""
        return self._now.wait(seconds)
