"""A load process: `python -m cria.bench.worker`, driven line by line by `cria.bench.pool`.

It reads a Job, says `ready`, reads the instant at which to start, and answers with an Outcome. It
ends at once when its standard input does: whoever started it is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from queue import SimpleQueue

import msgspec

from cria.bench.load import run_job
from cria.bench.messages import Job

READY = b"ready"


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it is told too, and ends it
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read_lines, args=(lines,), daemon=True).start()
    while True:
        job = msgspec.json.decode(lines.get(), type=Job)
        _write(READY)
        _write(msgspec.json.encode(run_job(job, zero=float(lines.get()))))


def _read_lines(lines: SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
