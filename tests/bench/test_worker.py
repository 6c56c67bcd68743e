"""A load process ends with whoever started it, also in the middle of a run."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import msgspec
import pytest

from cria.bench.messages import Job, Outcome
from tests.bench.fake_server import FakeServer


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "cria.bench.worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        yield process
        process.kill()


def start(worker: subprocess.Popen[bytes], job: Job) -> None:
    assert worker.stdin and worker.stdout
    worker.stdin.write(msgspec.json.encode(job) + b"\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == b"ready\n"
    worker.stdin.write(b"0.0\n")
    worker.stdin.flush()


def test_a_job(fake: FakeServer, worker: subprocess.Popen[bytes]) -> None:
    start(worker, Job(fake.url, {}, ["{}"], num_clients=1))
    assert worker.stdout
    outcome = msgspec.json.decode(worker.stdout.readline(), type=Outcome)
    assert outcome.traces[0].generated_tokens == 5


def test_it_ends_with_its_input(fake: FakeServer, worker: subprocess.Popen[bytes]) -> None:
    arrived, gate = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        gate.wait()

    fake.hold = hold
    start(worker, Job(fake.url, {}, ["{}"], num_clients=1))
    assert arrived.wait(30)
    worker.send_signal(signal.SIGINT)  # meant for whoever started it, and ignored
    assert worker.stdin and worker.stderr
    worker.stdin.close()
    assert worker.wait(30) == 0
    assert worker.stderr.read() == b""
    gate.set()
