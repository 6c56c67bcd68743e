"""What is measured all the time: how fast `/health` answers, and what the processes hold."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections import defaultdict

import psutil

from tests.soak.target import Target

HEALTH_SECONDS, MEMORY_SECONDS = 0.1, 2.0
MEGABYTE = 1024 * 1024


class Probes:
    """A thread; `health_ms` and `memory` grow until `stop`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stopping = threading.Event()
        self.health_ms: list[float] = []
        self.num_unanswered = 0
        self.memory: dict[str, list[tuple[float, float]]] = defaultdict(list)
        """Of each process, by its name and number: minutes of its life, and megabytes."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        next_memory = 0.0
        while not self._stopping.wait(HEALTH_SECONDS):
            self._ask_health()
            if time.monotonic() >= next_memory:
                next_memory = time.monotonic() + MEMORY_SECONDS
                self._weigh()

    def _ask_health(self) -> None:
        began = time.perf_counter()
        connection = http.client.HTTPConnection(*self._target.address, timeout=30)
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
            self.health_ms.append((time.perf_counter() - began) * 1000)
        except (OSError, http.client.HTTPException):
            self.num_unanswered += 1
        finally:
            connection.close()

    def _weigh(self) -> None:
        with contextlib.suppress(psutil.Error):
            server = self._target.process
            self._note("server", server)
            engine = self._target.engine()
            if engine is not None:
                self._note("engine", engine)

    def _note(self, name: str, process: psutil.Process) -> None:
        age = (time.time() - process.create_time()) / 60
        held = process.memory_info().rss / MEGABYTE
        self.memory[f"{name} {process.pid}"].append((age, held))
