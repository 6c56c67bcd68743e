"""A server of our own: what it inherits, what it says, and that it goes with us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cria.client.local_server import LocalServer, environment, failure
from cria.errors import ModelFileError, SetupError
from tests.real_server import REPOSITORY, command_line, wait_for


def test_settings_of_other_servers_are_not_its() -> None:
    given = {"CRIA_TLS_CERT": "c", "CRIA_CONTEXT_SIZE": "99", "CRIA_API_KEY": "old", "HOME": "h"}
    made = environment(given, "new")
    assert (made["CRIA_API_KEY"], made["CRIA_CONTEXT_SIZE"], made["HOME"]) == ("new", "99", "h")
    assert "CRIA_TLS_CERT" not in made


@pytest.mark.parametrize(
    ("code", "log", "kind", "words"),
    [
        (3, "x\nError: No such file.\n", ModelFileError, "No such file."),
        (1, "Error: No libraries.\n", SetupError, "No libraries."),
        (-9, "", SetupError, "The server ended with code -9."),
        (1, "Traceback\nMemoryError\n", SetupError, "code 1: MemoryError"),
    ],
)
def test_its_failure_is_a_sentence(code: int, log: str, kind: type[Exception], words: str) -> None:
    error = failure(code, log)
    assert type(error) is kind and str(error).endswith(words)


@pytest.mark.integration
def test_it_is_started_again_and_ended(tiny_gguf: Path) -> None:
    server = LocalServer(str(tiny_gguf))
    try:
        api = server.api()
        assert server.api() is api and api.models() == ["tiny"]
        (child,) = [p for p in psutil.Process().children() if "serve" in command_line(p)]
        child.kill()
        wait_for(lambda: server.api() is not api, bool, "another server")
        assert server.api().models() == ["tiny"]
        tree = psutil.Process().children(recursive=True)
    finally:
        server.close()
    assert not [process for process in tree if "--end-with-stdin" in command_line(process)]


@pytest.mark.integration
def test_kill_9_leaves_nothing(tiny_gguf: Path) -> None:
    program = (
        "import sys\nfrom cria.client.local_server import LocalServer\n"
        f"LocalServer({str(tiny_gguf)!r}).api(); print('up', flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None and parent.stdout.readline() == b"up\n"
        tree = psutil.Process(parent.pid).children(recursive=True)
        assert len(tree) >= 2, "a server and its engine"
        os.kill(parent.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(tree, timeout=20)
    assert not alive, alive
