"""`EngineGuest`: talks to the engine that the main process started.

It knows nothing of processes: an engine that ends is a connection that ends, and the next engine
is whoever accepts the next connection. Only its main process's end is the worker's own.
"""

from __future__ import annotations

import logging
import time

import msgspec

from cria.generation.death import Death
from cria.generation.engine_link import EngineLink
from cria.ipc import rendezvous
from cria.ipc.messages import Ready

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.1
"""Between a connection's end and the next one, which waits by itself for the next engine."""

NOTE_SECONDS = 5.0
"""For the main process to say how the engine ended."""


class EngineGuest(EngineLink):
    """A worker's handle on the engine."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self._note = b""
        """Of an engine's end, as it was when the present one came."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._visit()
            self._stopping.wait(PAUSE_SECONDS)

    def _visit(self) -> None:
        """One connection, from its start to its end."""
        try:
            transport = rendezvous.connect(self._address)
        except OSError as error:  # the main process is gone, or too many wait for an engine
            logger.debug("no connection to the engine: %s", error)
            return
        if self._status.state == "down":
            self._update(state="loading", progress=0.0, restarts=self._status.restarts + 1)
        self._talk(transport)
        self._bury(self._read_death())

    def _welcome(self, ready: Ready) -> None:
        self._note = rendezvous.read_note(self._address)
        super()._welcome(ready)

    def _read_death(self) -> Death:
        """As the main process tells it, a moment after the connection's end.

        Without news the engine lives, and has let go of this process, which was too slow.
        """
        deadline = time.monotonic() + NOTE_SECONDS
        while not self._stopping.is_set() and time.monotonic() < deadline:
            note = rendezvous.read_note(self._address)
            if note != self._note:
                return msgspec.json.decode(note, type=tuple[int, Death])[1]
            self._stopping.wait(PAUSE_SECONDS)
        return Death("closed the connection", is_foreign=True)


def clear_away(address: str) -> None:
    """Remove what a main process leaves behind that was killed; harmless otherwise."""
    rendezvous.remove(address)
