"""`Vitals`: what the engine tells its supervisor of itself: that it goes on, and how fast."""

from __future__ import annotations

import statistics
from collections import deque

from cria.ipc.pulse import Pulse

NUM_STEPS = 64
"""The median is that of so many steps, and told as often."""


class Vitals:
    """The loop's side of a pulse; without one, nobody wants to know."""

    def __init__(self, pulse: Pulse | None = None) -> None:
        self._pulse = pulse
        self._steps: deque[float] = deque(maxlen=NUM_STEPS)
        self._num_steps = 0

    def beat(self) -> None:
        """The loop comes by."""
        if self._pulse is not None:
            self._pulse.beat()

    def note_step(self, seconds: float) -> None:
        """A step took so long."""
        self._steps.append(seconds)
        self._num_steps += 1
        if self._pulse is not None and self._num_steps % NUM_STEPS == 0:
            self._pulse.tell_usual(statistics.median(self._steps))
