"""`Restarts`: when the next engine is started, and when that is pointless."""

from __future__ import annotations

from collections import deque

from cria.generation.child_process import Backoff

LOOP_DEATHS, LOOP_SECONDS = 5, 60.0
"""So many deaths within so many seconds are a loop."""
DOWN_SECONDS = 300.0
"""After a loop; then everything is tried anew."""


class Restarts:
    """Knows the deaths of one model's engines."""

    def __init__(self) -> None:
        self._backoff = Backoff()
        self._deaths: deque[float] = deque(maxlen=LOOP_DEATHS)
        self.is_loop = False
        """The last death was one too many."""

    def next_pause(self, now: float, lived: float, *, is_foreign: bool) -> float:
        """Seconds until the next start, an engine having ended `now` that `lived` so many seconds.

        One that served and was ended from outside (`is_foreign`) says nothing against the next one.
        """
        if is_foreign:
            self.is_loop = False
            return 0.0
        self._deaths.append(now)
        pause = self._backoff.next_pause(lived)
        is_full = len(self._deaths) == LOOP_DEATHS
        self.is_loop = is_full and now - self._deaths[0] <= LOOP_SECONDS
        if self.is_loop:
            self._backoff, self._deaths = Backoff(), deque(maxlen=LOOP_DEATHS)
            return DOWN_SECONDS
        return pause
