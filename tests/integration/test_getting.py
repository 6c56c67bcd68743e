"""`cria serve` and `cria pull` with a model that is elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.model_store.file_server import FileServer, file_server
from tests.real_server import REPOSITORY, RealServer, wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def server(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FileServer]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with file_server() as running:
        running.files["/tiny.gguf"] = tiny_gguf.read_bytes()
        yield running


def test_an_address_is_fetched_and_served(server: FileServer, tmp_path: Path) -> None:
    spec = f"{server.url}/tiny.gguf"
    for _ in range(2):
        with RealServer.run(["cria", "serve", spec, "--port", "0"], tmp_path / "log") as running:
            answer = running.post("/v1/completions", {"model": "tiny", "prompt": "Hi"})
            assert answer.status_code == 200
    assert len(server.ranges()) == 1, "the second time it was there"
    cards = subprocess.run(
        [sys.executable, "-m", "cria", "list"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert spec in cards.stdout


def test_a_pull_that_is_killed_is_gone_on_with(server: FileServer, tmp_path: Path) -> None:
    """The first one waits in the midst for bytes that do not come."""
    server.stalls_after = 100_000
    command = [sys.executable, "-m", "cria", "pull", f"{server.url}/tiny.gguf"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as p:
        wait_for(
            lambda: sum(path.stat().st_size for path in tmp_path.rglob("*.draft/tiny.gguf")),
            lambda size: size > 0,
            "the first bytes",
        )
        os.kill(p.pid, signal.SIGKILL)
        p.communicate()
    server.let_go.set()
    server.stalls_after = None
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == server.files["/tiny.gguf"]
    assert server.ranges()[-1].startswith("bytes=") and server.ranges()[-1] != "bytes=0-"


def test_what_is_not_there_is_a_sentence(server: FileServer) -> None:
    command = [sys.executable, "-m", "cria", "serve", f"{server.url}/none.gguf", "--port", "0"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert "There is no" in done.stderr and requests.get(server.url, timeout=5).status_code == 404
