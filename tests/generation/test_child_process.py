from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from cria.generation import child_process
from cria.generation.child_process import Backoff, describe_exit, reap


def test_pauses_grow_to_a_limit_and_start_again_after_a_long_life() -> None:
    backoff = Backoff()
    assert [backoff.next_pause(1.0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [backoff.next_pause(61.0), backoff.next_pause(1.0)] == [0.5, 1]


@pytest.mark.parametrize(
    ("code", "words"),
    [(3, "ended with code 3"), (-9, "was ended by SIGKILL"), (-99, "was ended by signal 99")],
)
def test_how_a_process_ended(code: int, words: str) -> None:
    assert describe_exit(code) == words


def test_a_process_that_ends_is_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"]) as process:
        assert reap(process) == 7


def test_a_process_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "EXIT_SECONDS", 0.01)
    program = "import threading; threading.Event().wait()"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        assert reap(process) == -signal.SIGKILL
