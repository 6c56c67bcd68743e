"""Workers that are programs of the test: they read their job, and end when they are told to."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from cria.access_key import hashed
from cria.config import ServerConfig
from cria.generation import child_process
from cria.server import workers as module
from cria.server.workers import WorkerJob, Workers
from tests.real_server import command_line, wait_for

JOB = WorkerJob(("127.0.0.1", 3000), ServerConfig(keys=(hashed("secret"),)), "m.gguf", "/a", 5)

SERVES = "import sys; print(sys.stdin.readline()); sys.stdin.read()"
"""As a worker does: until the end of its standard input."""
ENDS = "import sys; sys.stdin.readline(); sys.exit(3)"
HANGS = "import threading; threading.Event().wait()"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Not much of it for a worker that hangs; and none lives on after a test that failed."""
    monkeypatch.setattr(child_process, "EXIT_SECONDS", 0.5)
    before = set(psutil.Process().children())
    yield
    for child in set(psutil.Process().children()) - before:
        child.kill()


def becomes(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", program))


def children(program: str) -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if command_line(child)[2:] == [program]]


def wait_for_children(program: str, count: int) -> list[psutil.Process]:
    found: list[psutil.Process] = wait_for(
        lambda: children(program), lambda now: len(now) == count, f"{count} workers"
    )
    return found


def test_they_run_until_the_end_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    becomes(monkeypatch, SERVES)
    with Workers(2, JOB):
        wait_for_children(SERVES, 2)
    assert children(SERVES) == []


def test_the_job_comes_over_standard_input_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    writes = f"import sys; open({str(told)!r}, 'w').write(sys.stdin.readline()); sys.stdin.read()"
    becomes(monkeypatch, writes)
    with Workers(1, JOB):
        wait_for(lambda: told.exists() and told.read_text(), lambda text: text, "the job")
        (worker,) = children(writes)
        assert not any("secret" in word for word in worker.cmdline())
    told_job = msgspec.json.decode(told.read_text(), type=WorkerJob)
    assert told_job == msgspec.structs.replace(JOB, number=1)


def test_one_that_is_killed_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    becomes(monkeypatch, SERVES)
    with Workers(1, JOB):
        (first,) = wait_for_children(SERVES, 1)
        first.kill()
        wait_for(lambda: children(SERVES), lambda now: now and now != [first], "a replacement")
    assert "worker 1 was ended by SIGKILL; starting it again in 0.5 s" in caplog.text


def test_one_that_keeps_ending_is_started_later_and_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(child_process, "FIRST_PAUSE_SECONDS", 0.01)
    becomes(monkeypatch, ENDS)
    with Workers(1, JOB):
        wait_for(lambda: len(caplog.messages), lambda count: count >= 3, "three ends")
    assert caplog.messages[0] == "worker 1 ended with code 3; starting it again in 0.0 s"


def test_a_command_that_does_not_exist_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "COMMAND", ("/no/such/program",))
    with Workers(1, JOB):
        wait_for(lambda: caplog.text, lambda text: "cannot be started" in text, "the news")


def test_one_that_hangs_is_killed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    becomes(monkeypatch, HANGS)
    with Workers(1, JOB):
        wait_for_children(HANGS, 1)
    assert children(HANGS) == []


def test_ending_at_once_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    becomes(monkeypatch, SERVES)
    with Workers(3, JOB):
        pass
    assert children(SERVES) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "worker"]


OBEYS = (
    "import sys\nsys.stdin.readline()\n"
    "for line in sys.stdin:\n    with open('PATH', 'a') as told: told.write(line)\n"
    "    if line == 'drain\\n': sys.exit(0)"
)
"""Writes down its orders, and ends when it is told to drain."""


def test_they_are_told_to_drain_and_end_by_themselves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    program = OBEYS.replace("PATH", str(told))
    becomes(monkeypatch, program)
    with Workers(2, JOB) as workers:
        wait_for_children(program, 2)
        workers.hang_up()
        wait_for(lambda: told.exists() and told.read_text(), bool, "the order")
        assert workers.num_running() == 2
        workers.drain()
        wait_for(workers.num_running, lambda count: count == 0, "their end")
        workers.hang_up()
    assert set(told.read_text().splitlines()) == {"hang up", "drain"}


def test_none_are_none() -> None:
    with Workers(0, JOB):
        pass
