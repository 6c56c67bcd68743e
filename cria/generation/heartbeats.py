"""Tells the runs that time passes.

One clock for all of them: a timer for every wait of every stream would cost more than the tokens.
"""

from __future__ import annotations

import threading
import weakref
from typing import Protocol


class Pulsed(Protocol):
    """What wants to know that time passes."""

    def pulse(self) -> None:
        """Half of the longest silence has passed since the last call."""


class Heartbeats:
    """Calls `pulse` of everything registered, every half of `longest_silence` seconds."""

    def __init__(self, longest_silence: float) -> None:
        self._period = longest_silence / 2
        self._members: weakref.WeakSet[Pulsed] = weakref.WeakSet()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeats", daemon=True)
        self._thread.start()

    def add(self, member: Pulsed) -> None:
        """Until nobody else refers to it."""
        self._members.add(member)

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stopping.wait(self._period):
            for member in list(self._members):
                member.pulse()
