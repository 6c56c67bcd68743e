"""`EngineClient`: starts the engine process, watches it, and talks to it.

1. The process is started with `subprocess`, never forked. Its death is an event like any other:
   requests of which something was shown fail with `EngineDied`, the others wait for the next
   engine, which is started at once after a long life and later and later after short ones.
2. Alive is whose counters in a page of shared memory grow. Who gives no sign for too long is asked
   for its stacks, and killed.
3. After five deaths within a minute it stays down for some minutes, or the server ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

import msgspec

from cria.config import EngineConfig
from cria.generation.child_process import reap
from cria.generation.death import Death, count_starved, diagnose, last_words
from cria.generation.engine_link import EngineLink
from cria.generation.native_log import NativeLog, make_pipe
from cria.generation.restarts import Restarts
from cria.generation.unavailable import unavailable
from cria.generation.watchdog import Verdict, Watchdog
from cria.ipc.pulse import Pulse, make_page
from cria.ipc.rendezvous import Rendezvous
from cria.ipc.transport import Transport

logger = logging.getLogger(__name__)

DUMP_SIGNAL = signal.SIGUSR2
"""Makes the engine write the stacks of its threads to its standard error."""
DUMP_SECONDS = 0.5


class EngineProcess:
    """One engine process, its log and its signs of life."""

    def __init__(
        self, config: EngineConfig, environment: Mapping[str, str], rendezvous: Rendezvous | None
    ) -> None:
        """Start it; OSError or ValueError if that is impossible."""
        ours, theirs = socket.socketpair()
        self.transport = Transport(ours)
        with theirs, contextlib.ExitStack() as opened:
            opened.callback(self.transport.close)
            page = make_page()
            opened.callback(os.close, page)
            self.pulse = Pulse(os.dup(page))
            reading, writing = make_pipe()
            with os.fdopen(writing, "wb", buffering=0) as errors:
                inherited = [theirs.fileno(), page]
                if rendezvous is not None:
                    inherited.append(rendezvous.listener.fileno())
                opened.callback(os.close, reading)
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "cria.engine",
                        msgspec.json.encode(config).decode(),
                        *map(str, inherited),
                    ],
                    pass_fds=inherited,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,  # Ctrl-C in a terminal is for the server
                )
            opened.pop_all()
            os.close(page)
        self._log = NativeLog(reading)
        self._watchdog = Watchdog(config.engine_timeout)
        self._num_starved = count_starved()
        self._silence: float | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_over(self) -> bool:
        """It has ended, or its end is being waited for."""
        return self._process.poll() is not None

    @property
    def period(self) -> float:
        """Seconds between two calls of `look`."""
        return self._watchdog.period

    def look(self, *, is_loading: bool) -> Verdict:
        """Whether it lives; one that hangs is dead afterwards."""
        verdict = self._watchdog.look(
            self.pulse.signs,
            time.monotonic(),
            usual=self.pulse.usual_seconds,
            is_loading=is_loading,
        )
        if verdict is Verdict.HUNG:
            self._silence = self._watchdog.silence
            self._end()
        return verdict

    def bury(self) -> Death:
        """Wait for its end; what is known of it."""
        code = reap(self._process)
        self._log.close()
        return diagnose(
            code,
            was_starved=count_starved() > self._num_starved,
            silence=self._silence,
            words=last_words(self._log.lines()) if code else "",
        )

    def _end(self) -> None:
        self._process.send_signal(DUMP_SIGNAL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(DUMP_SECONDS)
        self._process.kill()


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
        self._restarts = Restarts()

    def close(self) -> None:
        """End the engine process and wait for that."""
        super().close()
        if self._rendezvous is not None:
            self._rendezvous.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            born = time.monotonic()
            was_ready = self._run_engine()
            if self._stopping.is_set() or self._cannot_be_served:
                return
            now = time.monotonic()
            pause = self._restarts.next_pause(now, now - born, is_foreign=was_ready is True)
            self._announce(pause)
            self._stopping.wait(pause)
            self._update(
                state="loading", progress=0.0, reason=None, restarts=self._status.restarts + 1
            )

    def _announce(self, pause: float) -> None:
        reason = (self._status.reason or "The engine has ended").rstrip(".")
        if not self._restarts.is_loop:
            logger.error("%s; starting it again in %.1f s", reason, pause)
            return
        logger.critical("%s once more, too often: no engine for %.0f s", reason, pause)
        self._update(gave_up=True, restart_seconds=pause)
        self._fail_all(unavailable(self._status))
        self._was_lost.set()

    @property
    def _cannot_be_served(self) -> bool:
        """The first load failed. A later one may fail for want of what is there again soon."""
        return self._status.reason is not None and self._status.info is None

    def _run_engine(self) -> bool:
        """One engine process, from its start to its end.

        Whether it served and was ended from outside, which says nothing against the next one.
        """
        try:
            engine = EngineProcess(self._config, self._environment, self._rendezvous)
        except (OSError, ValueError) as error:  # no memory, no descriptors, an impossible path
            self._bury(Death(f"cannot be started ({error})", is_foreign=True))
            return False
        self._update(pid=engine.pid)
        watching = threading.Thread(target=self._watch, args=(engine,), daemon=True)
        watching.start()
        death = Death("ended", is_foreign=True)
        was_ready = False
        try:
            self._talk(engine.transport)
        finally:
            was_ready = self._status.state in ("ready", "unresponsive")
            death = engine.bury()
            self._bury(death)
            self._shrink_after(death)
        return was_ready and death.is_foreign and death.code != "out_of_memory"

    def _shrink_after(self, death: Death) -> None:
        """The next engine's cache is half as large, where that is our choice."""
        info = self._status.info
        if death.code == "out_of_memory" and self._config.may_shrink and info is not None:
            num_cells = info.num_cells
            self._config = self._config.with_less_than(num_cells)
            logger.warning("the next engine's cache holds %d tokens at most", num_cells // 2)

    def _watch(self, engine: EngineProcess) -> None:
        """Until its end; the state follows what is seen."""
        while not (self._stopping.wait(engine.period) or engine.is_over):
            state = self._status.state
            verdict = engine.look(is_loading=state == "loading")
            if verdict is Verdict.ALIVE and state == "unresponsive":
                self._update(state="ready")
            elif verdict is not Verdict.ALIVE and state == "ready":
                logger.error("the engine gives no sign of life")
                self._update(state="unresponsive")

    def _bury(self, death: Death) -> None:
        if self._status.state != "down" and not self._stopping.is_set():
            told = f"; its last words: {death.last_words}" if death.last_words else ""
            logger.error("the engine process %s%s", death.how, told)
        loading = self._status.state == "loading"
        if loading and not self._settled.is_set() and self._status.reason is None:
            # The first load: with the same file and settings, a second try would end the same.
            self._update(reason=f"The engine process {death.how} while it loaded the model.")
        if self._rendezvous is not None:
            self._rendezvous.leave_note(msgspec.json.encode((self._status.restarts, death)))
        super()._bury(death)
        self._settled.set()
