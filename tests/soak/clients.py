"""The clients, in a process of their own: their work must not slow the measurements down."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any

from tests.soak.exchange import Connection
from tests.soak.ledger import Record, judge
from tests.soak.mix import make_plan

PAUSE_SECONDS = 100.0
"""For requests in flight to end; longer than a client waits for an answer."""


@dataclass
class Paused:
    """What has ended since the last pause, and how many requests have not."""

    records: list[Record]
    num_in_flight: int


class Crowd:
    """Threads that send one request after another while the gate is open."""

    def __init__(self, address: tuple[str, int], num_clients: int, seed: int) -> None:
        self._address = address
        self._seed = seed
        self._gate = threading.Event()
        self._lock = threading.Lock()
        self._num_in_flight = 0
        self._records: list[Record] = []
        self._is_over = False
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(num_clients)
        ]
        for thread in self._threads:
            thread.start()

    def open(self) -> None:
        self._gate.set()

    def pause(self) -> Paused:
        """Wait until all requests have ended."""
        self._gate.clear()
        deadline = time.monotonic() + PAUSE_SECONDS
        while self._num_in_flight and time.monotonic() < deadline:
            time.sleep(0.01)
        with self._lock:
            records, self._records = self._records, []
            return Paused(records, self._num_in_flight)

    def end(self) -> None:
        self._is_over = True
        self._gate.set()
        for thread in self._threads:
            thread.join(PAUSE_SECONDS)

    def _run(self, number: int) -> None:
        rng = random.Random(f"{self._seed} {number}")
        connection = Connection(self._address)
        while not self._is_over:
            self._gate.wait()
            with self._lock:
                if not self._gate.is_set() or self._is_over:
                    continue
                self._num_in_flight += 1
            record = None
            try:
                plan = make_plan(rng)
                record = judge(plan, connection.perform(plan))
            except Exception as error:  # a mistake of the harness must not pass for a success
                now = time.time()
                record = Record("harness", "lost", now, now, 0, problems=[repr(error)])
            finally:
                with self._lock:
                    self._num_in_flight -= 1
                    if record is not None:
                        self._records.append(record)
            if record.status in (429, 503) or record.outcome == "lost":
                time.sleep(rng.uniform(0.05, 0.5))
        connection.close()


def run_crowd(pipe: Pipe, address: tuple[str, int], num_clients: int, seed: int) -> None:
    """The process: opens the gate and pauses as it is told."""
    crowd = Crowd(address, num_clients, seed)
    try:
        while (word := pipe.recv()) != "end":
            if word == "open":
                crowd.open()
            else:
                pipe.send(crowd.pause())
    except EOFError:
        pass  # whoever started us is gone
    finally:
        crowd.end()


class CrowdProcess:
    """The handle on it."""

    def __init__(self, address: tuple[str, int], num_clients: int, seed: int) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawning.Pipe()
        self._process: Any = spawning.Process(
            target=run_crowd, args=(theirs, address, num_clients, seed), daemon=True
        )
        self._process.start()
        theirs.close()

    def open(self) -> None:
        self._pipe.send("open")

    def pause(self) -> Paused:
        self._pipe.send("pause")
        paused: Paused = self._pipe.recv()
        return paused

    def end(self) -> None:
        self._pipe.send("end")
        self._process.join(PAUSE_SECONDS)
        self._pipe.close()
