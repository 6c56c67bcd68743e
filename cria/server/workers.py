"""`Workers`: the further processes that speak HTTP; starts them, watches them, and ends them.

1. A worker is `python -m cria.server.worker`, started with `subprocess`, never forked. Its job
   comes over its standard input, not as arguments, which other users could read: it holds API keys.
2. After it come the lines of `Order`. Nobody else holds this end of the pipe: its end tells the
   worker that this process has ended, or wants it to end now.
3. A worker that ends by itself is started again, later and later if it does not live long.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
import time

import msgspec

from cria.config import ServerConfig
from cria.generation.child_process import Backoff, describe_exit, reap

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "cria.server.worker")


class Order:
    """What a worker is told after its job, one line each."""

    DRAIN = b"drain"
    """Serve on for the drain delay, finish what runs, and end."""
    HANG_UP = b"hang up"
    """Do what SIGHUP does."""


class WorkerJob(msgspec.Struct, frozen=True):
    """What a worker has to serve, and where."""

    address: tuple[str, int]
    """Host and port that this process listens on."""
    server_config: ServerConfig
    model_path: str
    engine_address: str
    created: int
    """When the model was loaded, as all processes tell it."""
    has_private_store: bool = False
    """The file of responses goes with the server."""
    ledger_fd: int = -1
    """The file of the numbers that all processes share; workers inherit it."""
    number: int = 0
    """Of the worker, from 1 on."""


class Workers:
    """All of them, started and ended by `with`."""

    def __init__(self, count: int, job: WorkerJob) -> None:
        self._workers = [_Worker(number, job) for number in range(1, count + 1)]

    def __enter__(self) -> Workers:
        """Start them; returns at once."""
        for worker in self._workers:
            worker.start()
        return self

    def drain(self) -> None:
        """Tell all of them to drain; none is started again."""
        for worker in self._workers:
            worker.drain()

    def hang_up(self) -> None:
        """Pass SIGHUP on."""
        for worker in self._workers:
            worker.tell(Order.HANG_UP)

    def num_running(self) -> int:
        """How many have not ended; after `drain`, those that still have something to do."""
        return sum(worker.is_running for worker in self._workers)

    def __exit__(self, *_: object) -> None:
        """Tell all of them to end, then wait for that."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.join()


class _Worker:
    """One of them, in one process after another."""

    def __init__(self, number: int, job: WorkerJob) -> None:
        self._number = number
        self._job = msgspec.json.encode(msgspec.structs.replace(job, number=number))
        self._inherited = () if job.ledger_fd < 0 else (job.ledger_fd,)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def drain(self) -> None:
        """Tell it to end when nothing runs any more."""
        self._stopping.set()
        self.tell(Order.DRAIN)

    def tell(self, order: bytes) -> None:
        """Write one more line."""
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.closed:
            _write(process, order)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def dismiss(self) -> None:
        """Tell it to end now."""
        self._stopping.set()
        if self._process is not None:
            _hang_up(self._process)

    def join(self) -> None:
        """Wait for its end; one that hangs is killed."""
        if self._process is not None:
            reap(self._process)
        if self._thread.is_alive():
            self._thread.join()

    def _supervise(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            born = time.monotonic()
            how = self._run_process()
            if self._stopping.is_set():
                return
            pause = backoff.next_pause(time.monotonic() - born)
            logger.error("worker %d %s; starting it again in %.1f s", self._number, how, pause)
            self._stopping.wait(pause)

    def _run_process(self) -> str:
        """One process, from its start to its end, and how that was."""
        try:
            process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                pass_fds=self._inherited,
                start_new_session=True,  # Ctrl-C in a terminal is for the main process
            )
        except OSError as error:  # no memory, no descriptors
            return f"cannot be started ({error})"
        self._process = process
        _write(process, self._job)
        if self._stopping.is_set():  # while it was being started: `dismiss` has not seen it
            _hang_up(process)
            return describe_exit(reap(process))
        code = process.wait()
        _hang_up(process)
        return describe_exit(code)


def _write(process: subprocess.Popen[bytes], line: bytes) -> None:
    """Write one line; the pipe stays open."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # it has ended already
        process.stdin.write(line + b"\n")
        process.stdin.flush()


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # what could not be written to a process that has ended
        process.stdin.close()
