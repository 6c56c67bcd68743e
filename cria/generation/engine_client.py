"""`EngineClient`: starts the engine process, watches it, and talks to it.

The process is started with `subprocess`, never forked. Its death is an event like any other: the
requests in flight fail with `EngineDied`, and a new engine is started, at once after a long life
and later and later after short ones.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

import msgspec

from cria.config import EngineConfig
from cria.generation.child_process import Backoff, describe_exit, reap
from cria.generation.engine_link import EngineLink
from cria.ipc.rendezvous import Rendezvous
from cria.ipc.transport import Transport

logger = logging.getLogger(__name__)


class EngineClient(EngineLink):
    """The main process's handle on the engine process, which is its child."""

    def __init__(
        self,
        config: EngineConfig,
        environment: Mapping[str, str],
        rendezvous: Rendezvous | None = None,
    ) -> None:
        super().__init__()
        self._config = config
        self._environment = dict(environment)
        self._rendezvous = rendezvous

    def close(self) -> None:
        """End the engine process and wait for that."""
        super().close()
        if self._rendezvous is not None:
            self._rendezvous.close()

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            born = time.monotonic()
            self._run_engine()
            if self._stopping.is_set() or self._cannot_be_served:
                return
            pause = backoff.next_pause(time.monotonic() - born)
            reason = self._status.reason or "the engine ended"
            logger.error("%s; starting it again in %.1f s", reason.rstrip("."), pause)
            self._stopping.wait(pause)
            self._update(state="loading", reason=None, restarts=self._status.restarts + 1)

    @property
    def _cannot_be_served(self) -> bool:
        """The first load failed. A later one may fail for want of what is there again soon."""
        return self._status.reason is not None and self._status.info is None

    def _run_engine(self) -> None:
        """One engine process, from its start to its end."""
        try:
            process, transport = self._start_process()
        except (OSError, ValueError) as error:  # no memory, no descriptors, an impossible path
            self._bury(f"cannot be started ({error})")
            return
        self._update(pid=process.pid)
        try:
            self._talk(transport)
        finally:
            self._bury(describe_exit(reap(process)))

    def _start_process(self) -> tuple[subprocess.Popen[bytes], Transport]:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                return self._spawn(theirs), Transport(ours)
            except BaseException:
                ours.close()
                raise

    def _spawn(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        config = msgspec.json.encode(self._config).decode()
        command = [sys.executable, "-m", "cria.engine", str(theirs.fileno()), config]
        descriptors = [theirs.fileno()]
        if self._rendezvous is not None:
            descriptors.append(self._rendezvous.listener.fileno())
            command.append(str(descriptors[-1]))
        return subprocess.Popen(
            command,
            pass_fds=descriptors,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal is for the server, which then ends it
        )

    def _bury(self, how: str) -> None:
        loading = self._status.state == "loading"
        if loading and not self._settled.is_set() and self._status.reason is None:
            # The first load: with the same file and settings, a second try would end the same.
            self._update(reason=f"The engine process {how} while it loaded the model.")
        super()._bury(how)
        self._settled.set()
