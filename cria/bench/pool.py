"""`WorkerPool`: spreads a run over processes: many clients in one would wait for each other."""

from __future__ import annotations

import os
import time

import msgspec

from cria.bench.child import Child
from cria.bench.messages import Job, Outcome
from cria.bench.settings import Load

CLIENTS_PER_PROCESS = 32
HEAD_START_SECONDS = 0.05
"""Between the word to start and the start, so that it has reached every process by then."""


def num_processes(load: Load, wanted: int | None) -> int:
    """No more than there are clients, or, unless asked for, cores."""
    if wanted is None:
        wanted = min(os.cpu_count() or 1, -(-load.clients // CLIENTS_PER_PROCESS))
    return max(1, wanted if load.rate is not None else min(wanted, load.clients))


class WorkerPool:
    """Load processes, started when they are first needed and kept."""

    def __init__(self) -> None:
        self._workers: list[Child] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.close()

    def run(self, job: Job, processes: int) -> Outcome:
        """Do the job in so many processes, all of which start at the same instant."""
        while len(self._workers) < processes:
            self._workers.append(Child("cria.bench.worker"))
        workers = self._workers[:processes]
        for worker, part in zip(workers, split(job, processes), strict=True):
            worker.send(msgspec.json.encode(part))
        for worker in workers:
            worker.receive()
        start = b"%.6f" % (time.monotonic() + HEAD_START_SECONDS)
        for worker in workers:
            worker.send(start)
        return merge([msgspec.json.decode(w.receive(), type=Outcome) for w in workers])


def split(job: Job, parts: int) -> list[Job]:
    """Clients and requests dealt out like cards; the first part sends the long prompt."""
    return [
        msgspec.structs.replace(
            job,
            bodies=job.bodies[i::parts],
            arrivals=None if job.arrivals is None else job.arrivals[i::parts],
            num_clients=len(range(i, job.num_clients, parts)),
            long_body=None if i else job.long_body,
        )
        for i in range(parts)
    ]


def merge(outcomes: list[Outcome]) -> Outcome:
    traces = [trace for outcome in outcomes for trace in outcome.traces]
    return Outcome(sorted(traces, key=lambda trace: trace.start), outcomes[0].long)
