"""`EngineGuest`: talks to the engine that the main process started.

It knows nothing of processes: an engine that ends is a connection that ends, and the next engine
is whoever accepts the next connection. Only its main process's end is the worker's own.
"""

from __future__ import annotations

import logging

from cria.generation.engine_link import EngineLink
from cria.ipc import rendezvous

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.1
"""Between a connection's end and the next one, which waits by itself for the next engine."""


class EngineGuest(EngineLink):
    """A worker's handle on the engine."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

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
        self._bury("ended")


def clear_away(address: str) -> None:
    """Remove what a main process leaves behind that was killed; harmless otherwise."""
    rendezvous.remove(address)
