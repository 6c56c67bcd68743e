"""`Watchdog`: whether a process that says nothing is slow, stopped or stuck.

It counts the silence that it has seen itself. Where the whole machine was suspended, or this
process was stopped together with the other one, the time between two looks is long and says
nothing: of each such time no more than two periods count.
"""

from __future__ import annotations

import enum

PERIOD_SECONDS = 0.25
"""Between two looks."""
USUAL_STEPS = 10
"""An engine whose steps are slow may be silent for as many of them."""
LOADING_FACTOR = 10
"""Files on slow disks, and GPUs that compile their programs: loading is given more time."""


class Verdict(enum.Enum):
    ALIVE = "alive"
    SILENT = "silent"
    """For half of the time that it may be."""
    HUNG = "hung"


class Watchdog:
    """Looks at a counter that grows as long as somebody lives; times are in seconds."""

    def __init__(self, limit: float) -> None:
        """`limit` is the longest silence of an engine that is loaded."""
        self._limit = limit
        self._last_signs = -1
        self._last_look = 0.0
        self.silence = 0.0
        """So far."""

    def look(
        self, signs: int, now: float, *, usual: float = 0.0, is_loading: bool = False
    ) -> Verdict:
        """What the counter says `now`; `usual` is what a step takes."""
        if signs != self._last_signs:
            self._last_signs, self.silence = signs, 0.0
        else:
            self.silence += min(now - self._last_look, 2 * self.period)
        self._last_look = now
        limit = max(self._limit, USUAL_STEPS * usual) * (LOADING_FACTOR if is_loading else 1)
        if self.silence >= limit:
            return Verdict.HUNG
        return Verdict.SILENT if self.silence >= limit / 2 else Verdict.ALIVE

    @property
    def period(self) -> float:
        """Between two looks."""
        return min(PERIOD_SECONDS, self._limit / 8)
