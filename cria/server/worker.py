"""A further process that speaks HTTP: `python -m cria.server.worker`.

Its job is one line of JSON on standard input, a `WorkerJob`. It serves the same application on the
same port as the main process, over the engine that that one started. Further lines are orders
(`workers.Order`). It ends at once when its standard input does: the main process has ended, in
whatever way, or wants it to.
"""

# ruff: noqa: I001 - serve patches the standard library, so it comes first.
from cria.server import serve

import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import gevent
import msgspec
from gevent.socket import wait_read

from cria.errors import CriaError
from cria.generation.engine_guest import clear_away
from cria.generation.ledger import Ledger, Ledgers
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.response_file import remove_private
from cria.server import signals
from cria.server.stopping import Phase
from cria.server.workers import Order, WorkerJob

logger = logging.getLogger(__name__)


def main() -> int:
    """The exit code: 0 if it was told to end."""
    line = read_line()
    if not line.endswith(b"\n"):
        return 0  # the main process ended before it had told the job
    job = msgspec.json.decode(line, type=WorkerJob)
    serve.prepare(job.server_config.log_level)
    main_greenlet: Any = gevent.getcurrent()
    gevent.spawn(follow_main_process, main_greenlet, job)
    try:
        work(job)
    except CriaError as error:
        logger.error("%s", error)
        return 1
    return 0


def work(job: WorkerJob) -> None:
    """Serve until the main process or a signal ends that."""
    config = job.server_config
    listener = serve.bind(*job.address, shared=True)
    generation = Generation.join(
        job.model_path,
        job.engine_address,
        config,
        offload=serve.offload,
        ledgers=Ledgers(Ledger(config.num_workers, job.number, job.ledger_fd)),
    )
    generation.created = job.created
    with serve.serving(listener, ModelPool.of(generation, config), config) as server:
        serve.serve_until_stopped(server, config)


def read_line() -> bytes:
    """The job; byte by byte, so that nothing of what follows waits in a buffer."""
    line = bytearray()
    while not line.endswith(b"\n") and (byte := os.read(sys.stdin.fileno(), 1)):
        line += byte
    return bytes(line)


def follow_main_process(main_greenlet: Any, job: WorkerJob) -> None:
    """Do what it orders; end when it has ended, or wants that."""
    for order in orders():
        if order == Order.HANG_UP:
            signals.hang_up()
        elif serve.stopping.phase < Phase.SERVING:
            gevent.kill(main_greenlet, SystemExit(0))
        else:
            serve.stopping.ask()
    clear_away(job.engine_address)
    if job.has_private_store and job.server_config.response_store:
        remove_private(job.server_config.response_store)
    if serve.stopping.phase < Phase.SERVING:
        gevent.kill(main_greenlet, SystemExit(0))
    serve.stopping.end()


def orders() -> Iterator[bytes]:
    """Line by line, until standard input ends."""
    waiting = b""
    while True:
        wait_read(sys.stdin.fileno())
        block = os.read(sys.stdin.fileno(), 4096)
        if not block:
            return
        *lines, waiting = (waiting + block).split(b"\n")
        yield from lines


if __name__ == "__main__":
    sys.exit(main())
