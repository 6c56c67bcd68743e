"""A further process that speaks HTTP: `python -m cria.server.worker`.

Its job is one line of JSON on standard input, a `WorkerJob`. It serves the same application on the
same port as the main process, over the engine that that one started, and ends when its standard
input does: the main process has ended, in whatever way, or wants it to.
"""

# ruff: noqa: I001 - serve patches the standard library, so it comes first.
from cria.server import serve

import logging
import sys
from collections.abc import Callable
from functools import partial

import gevent
import msgspec
from gevent.event import Event
from gevent.socket import wait_read

from cria.errors import CriaError
from cria.generation.engine_guest import clear_away
from cria.generation.ledger import Ledger
from cria.generation.pipeline import Generation
from cria.server.response_file import remove_private
from cria.server.workers import WorkerJob

logger = logging.getLogger(__name__)


def main() -> int:
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 0  # the main process ended before it had told the job
    job = msgspec.json.decode(line, type=WorkerJob)
    serve.prepare(job.server_config.log_level)
    gevent.spawn(end_with_main_process, partial(gevent.kill, gevent.getcurrent()), job)
    try:
        work(job)
    except CriaError as error:
        logger.error("%s", error)
    return 1


def work(job: WorkerJob) -> None:
    """Serve until SystemExit."""
    config = job.server_config
    listener = serve.bind(*job.address, shared=True)
    generation = Generation.join(
        job.model_path,
        job.engine_address,
        config,
        offload=serve.offload,
        ledger=Ledger(config.num_workers, job.number, job.ledger_fd),
    )
    generation.created = job.created
    with serve.serving(listener, generation, config):
        Event().wait()


def end_with_main_process(end: Callable[[BaseException], None], job: WorkerJob) -> None:
    """Nothing more comes over standard input, so that anything to read is its end."""
    wait_read(sys.stdin.fileno())
    clear_away(job.engine_address)
    if job.has_private_store and job.server_config.response_store:
        remove_private(job.server_config.response_store)
    end(SystemExit(0))


if __name__ == "__main__":
    sys.exit(main())
