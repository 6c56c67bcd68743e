"""`cria chat` with servers of its own: real ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.real_server import REPOSITORY
from tests.terminal import terminal

pytestmark = pytest.mark.integration


def test_from_a_pipe(tiny_gguf: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cria", "chat", str(tiny_gguf)],
        input="/set max_tokens 4\nHi\n/stats\n/model\n",
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert "tiny at http://127.0.0.1:" in done.stderr
    assert "4 answered in all\n* tiny\n" in done.stdout


def test_in_a_terminal(tiny_gguf: Path, tmp_path: Path) -> None:
    settings = {"XDG_STATE_HOME": str(tmp_path), "TERM": "dumb"}
    with terminal("cria", "chat", str(tiny_gguf), **settings) as screen:
        screen.wait_for("> ")
        tree = psutil.Process(screen.process.pid).children(recursive=True)
        screen.type("/set max_tokens 8\r")
        screen.wait_for("> ")
        screen.type("Hi\r")
        screen.wait_for("> ")
        screen.type("/stats\r")
        screen.wait_for("answered in all")
        screen.process.kill()
    assert len(tree) >= 2 and not psutil.wait_procs(tree, timeout=20)[1]
