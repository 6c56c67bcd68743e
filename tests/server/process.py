"""Start the fake server as a process, and talk to it byte by byte."""

from __future__ import annotations

import json
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests

REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 15.0


class FakeServer(NamedTuple):
    process: subprocess.Popen[str]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def running(self) -> int:
        """How many runs nobody has ended."""
        answer = requests.get(f"{self.url}/health", timeout=PATIENCE_SECONDS)
        return int(answer.json()["engine"]["running"])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)


@contextmanager
def fake_server(log: Path, **settings: object) -> Generator[FakeServer, None, None]:
    """A running server that says on which port; ended afterwards."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.fake_server", json.dumps(settings)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:
        try:
            yield FakeServer(process, read_port(process), log)
        finally:
            process.kill()


def read_port(process: subprocess.Popen[str]) -> int:
    """The port in the banner's first line."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], PATIENCE_SECONDS)[0], "the server says nothing"
    found = re.search(r":(\d+)/v1", process.stdout.readline())
    assert found is not None, "the server ended without a banner"
    return int(found[1])


def post(prompt: str, *headers: str, stream: bool = False) -> bytes:
    """The bytes of a completion request."""
    body = json.dumps({"model": "fake", "prompt": prompt, "stream": stream})
    lines = [
        "POST /v1/completions HTTP/1.1",
        "Host: [::1]",
        f"Content-Length: {len(body)}",
        *headers,
        "",
        body,
    ]
    return "\r\n".join(lines).encode()


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """Everything up to and with these bytes."""
    data = b""
    while end not in data:
        block = sock.recv(65536)
        assert block, f"the connection ended after {data!r}"
        data += block
    return data


def read_to_end(sock: socket.socket) -> bytes:
    """Everything that comes before the server closes the connection."""
    data = b""
    while block := sock.recv(65536):
        data += block
    return data


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds; a test that waits in vain fails."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
