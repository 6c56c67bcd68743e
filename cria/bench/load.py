"""One process's part of a run: clients in threads, all from the same instant on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from cria.bench.client import request
from cria.bench.messages import Job, Outcome, Trace

OnText = Callable[[], object]


def run_job(job: Job, zero: float) -> Outcome:
    """Do it from the instant `zero` (`time.monotonic`) on."""
    outcome = Outcome([])
    if job.arrivals is not None:
        _open_loop(job, job.arrivals, zero, outcome.traces)
    elif job.long_body is None:
        _closed_loop(job, zero, outcome.traces, lambda: None)
    else:
        countdown = Countdown(job.num_clients)
        thread = _start(partial(_send_long, job, zero, outcome, countdown))
        _closed_loop(job, zero, outcome.traces, countdown.step)
        countdown.open()
        thread.join()
    return outcome


class Countdown:
    """Lets go who waits for it, when it has been stepped so often."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()
        self._opened = threading.Event()

    def step(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                self._opened.set()

    def open(self) -> None:
        self._opened.set()

    def wait(self) -> None:
        self._opened.wait()


def _closed_loop(job: Job, zero: float, traces: list[Trace], on_text: OnText) -> None:
    """Each client takes the next request when its last one is answered."""
    left = deque(job.bodies)

    def client() -> None:
        _sleep_until(zero)
        while left:
            try:
                body = left.popleft()  # atomic: another client may have taken the last one
            except IndexError:
                return
            traces.append(trace := request(job, body, zero, on_text))
            if not trace.arrivals:
                on_text()  # nobody has to wait for the text of a request that has none

    for thread in [_start(client) for _ in range(job.num_clients)]:
        thread.join()


def _open_loop(job: Job, arrivals: list[float], zero: float, traces: list[Trace]) -> None:
    """Each request is sent at its time, whatever became of the others."""
    threads = []
    for body, arrival in zip(job.bodies, arrivals, strict=True):
        _sleep_until(zero + arrival)
        threads.append(_start(partial(_send, job, body, zero, traces)))
    for thread in threads:
        thread.join()


def _send(job: Job, body: str, zero: float, traces: list[Trace]) -> None:
    traces.append(request(job, body, zero))


def _send_long(job: Job, zero: float, outcome: Outcome, countdown: Countdown) -> None:
    countdown.wait()
    outcome.long = request(job, job.long_body or "", zero)


def _start(run: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _sleep_until(instant: float) -> None:
    time.sleep(max(0.0, instant - time.monotonic()))
