"""How a server process ends without losing a request.

1. From the wish on, every answer says `Connection: close`, so that clients connect anew, to
   somebody else. Health checks fail; requests are served for the drain delay.
2. Then what waits to be accepted is accepted, and the listener closes. Connections on which nothing
   is asked are ended by half: what a client had sent before is still read, and answered.
3. A request that is begun from then on is refused with 503 `server_shutting_down`. Those that run
   have the drain timeout; whoever calls `drain` then ends what is left.
"""

from __future__ import annotations

import logging
import math
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, current_app, request

from cria.errors import ServerStopping
from cria.server.auth import is_open
from cria.server.peer import raw
from cria.server.stopping import Stopping

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.02
FRESH_SECONDS = 0.5
"""For the first request of a connection that was accepted at the end."""
_NAME = "cria_stopping"


class Connections:
    """Those of one server on which nothing is being asked, and until when that is all right."""

    def __init__(self) -> None:
        self._idle: dict[Any, tuple[float, bool]] = {}
        self.is_closing = False

    @contextmanager
    def idle(self, sock: Any, *, is_fresh: bool) -> Generator[None, None, None]:
        """While a request is waited for on this socket."""
        self._idle[sock] = time.monotonic(), is_fresh
        try:
            yield
        finally:
            self._idle.pop(sock, None)

    def end_oldest(self, seconds: float) -> bool:
        """End the one that has been idle longest, if that is so long; whether there was one."""
        sock, (since, _) = next(iter(self._idle.items()), (None, (math.inf, False)))
        if time.monotonic() - since < seconds:
            return False
        del self._idle[sock]
        stop_reading(sock)
        return True

    def end_idle(self) -> None:
        """End those whose time is over."""
        now = time.monotonic()
        for sock, (since, is_fresh) in list(self._idle.items()):
            if not is_fresh or now >= since + FRESH_SECONDS:
                del self._idle[sock]
                stop_reading(sock)


def stop_reading(sock: Any) -> None:
    """The reader finds what has come already, and then the end.

    Below TLS, which would not let its reader go on.
    """
    try:
        raw(sock).shutdown(socket.SHUT_RD)
    except OSError as error:  # it has just ended by itself
        logger.debug("an idle connection: %s", error)


def attach(app: Flask, stopping: Stopping) -> None:
    """Let an application know; it refuses requests once nobody can connect."""
    app.extensions[_NAME] = stopping

    @app.before_request
    def refuse() -> None:
        if stopping.is_closed and not is_open(request.path):
            raise ServerStopping("The server is shutting down.")

    @app.after_request
    def say_close(response: Response) -> Response:
        if stopping.is_draining:
            response.headers["Connection"] = "close"
        return response


def drains(app: Flask) -> Callable[[], bool]:
    """Whether an application is about to end, also asked outside of its requests."""
    stopping: Stopping | None = app.extensions.get(_NAME)
    return lambda: stopping is not None and stopping.is_draining


def is_draining() -> bool:
    """Of the application that answers."""
    stopping: Stopping | None = current_app.extensions.get(_NAME)
    return stopping is not None and stopping.is_draining


def drain(server: Any, stopping: Stopping, num_busy: Callable[[], int]) -> None:
    """From the wish to the moment when nothing runs any more, or its time is over.

    `server` is gevent's, with `connections`; `num_busy` counts what runs beside its connections.
    """
    stopping.wait_for_end(stopping.delay)
    accept_waiting(server)
    server.close()
    stopping.close()
    server.connections.is_closing = True
    deadline = time.monotonic() + stopping.timeout
    told = False
    while not stopping.wait_for_end(POLL_SECONDS):
        server.connections.end_idle()
        num_open = len(server.pool) + num_busy()
        if not num_open or time.monotonic() >= deadline:
            return
        if not told and (told := time.monotonic() > deadline - stopping.timeout + FRESH_SECONDS):
            logger.info("stopping: %d still at work; a second signal ends them", num_open)


def accept_waiting(server: Any) -> None:
    """What the kernel has accepted for us would otherwise be reset."""
    try:
        while not server.full() and (connection := server.do_read()):
            server.do_handle(*connection)
    except OSError as error:  # no descriptors left
        logger.warning("connections that waited are lost: %s", error)
