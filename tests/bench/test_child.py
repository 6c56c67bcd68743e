"""Lines to a child process and back, and its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cria.bench.child import Child
from cria.errors import SetupError

ECHO = """
import os, sys
print(os.getpid(), flush=True)
for line in sys.stdin:
    if line == "end\\n": sys.exit(3)
    print(line, end="", flush=True)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "echo_lines.py").write_text(ECHO)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def test_lines(environment: dict[str, str]) -> None:
    child = Child("echo_lines", env=environment)
    pid = int(child.receive())
    child.send(b"a b")
    assert child.receive() == b"a b\n"
    child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_its_end_is_one_sentence(environment: dict[str, str]) -> None:
    child = Child("echo_lines", env=environment)
    child.receive()
    child.send(b"end")
    with pytest.raises(SetupError, match="^The process echo_lines ended with code 3.$"):
        child.receive()
    child.send(b"nobody hears this")
    child.close()
