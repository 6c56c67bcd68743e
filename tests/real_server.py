"""`cria serve` as a child process, and what tests ask it beside the API."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import psutil
import requests

REPOSITORY = Path(__file__).parents[1]
PATIENCE_SECONDS = 60.0


class RealServer:
    """A running server."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log
        self._clients: list[openai.OpenAI] = []

    @classmethod
    @contextmanager
    def start(cls, model: Path, *options: str, log: Path) -> Iterator[RealServer]:
        """Start on a free port, wait until it is ready, end it afterwards."""
        command = ["cria", "serve", str(model), "--port", "0", *options]
        with cls.run(command, log) as running:
            yield running

    @classmethod
    @contextmanager
    def start_models(
        cls, models: list[dict[str, Any]], log: Path, **settings: Any
    ) -> Iterator[RealServer]:
        """The same with several models: see `tests.serve_models`."""
        told = json.dumps({"models": models, "server": settings})
        with cls.run(["tests.serve_models", told], log) as running:
            yield running

    @classmethod
    @contextmanager
    def run(cls, words: list[str], log: Path) -> Iterator[RealServer]:
        """A module with arguments that says where it serves."""
        command = [sys.executable, "-m", *words]
        with log.open("w") as errors:
            process = subprocess.Popen(
                command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        with process:
            try:
                running = cls(process, _read_url(process, log), log)
                yield running
                running.close_clients()
            finally:
                process.terminate()
                process.wait(PATIENCE_SECONDS)

    def client(self, **options: Any) -> openai.OpenAI:
        """The official client, without retries; it is closed when the server is."""
        client = openai.OpenAI(
            **{"base_url": f"{self.url}/v1", "api_key": "none", "max_retries": 0, **options}
        )
        self._clients.append(client)
        return client

    def close_clients(self) -> None:
        """Else their sockets would be a warning in whichever test is running when they go."""
        for client in self._clients:
            client.close()

    def counters(self) -> dict[str, int]:
        """The engine's own counters."""
        answer = requests.get(f"{self.url}/health", timeout=PATIENCE_SECONDS)
        counters: dict[str, int] = answer.json()["engine"]
        return counters

    def wait_until_idle(self) -> dict[str, int]:
        """Wait until no sequence runs or waits; the counters then."""
        return wait_for(
            self.counters, lambda c: not (c["running"] or c["waiting"]), "the engine to be idle"
        )

    def post(self, path: str, body: dict[str, Any], **options: Any) -> requests.Response:
        return requests.post(f"{self.url}{path}", json=body, timeout=PATIENCE_SECONDS, **options)


def wait_for(
    ask: Callable[[], Any], is_good: Callable[[Any], object], what: str, patience: float = 30.0
) -> Any:
    """Ask again and again until the answer is good; fails with the last answer."""
    deadline = time.monotonic() + patience
    while not is_good(answer := ask()):
        assert time.monotonic() < deadline, f"waited {patience} s for {what}; last: {answer}"
        threading.Event().wait(0.01)
    return answer


def command_line(process: psutil.Process) -> list[str]:
    """Its words; none of a process that has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _read_url(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    ready = select.select([process.stdout], [], [], PATIENCE_SECONDS)[0]
    found = re.search(r"https?://\S+(?=/v1)", process.stdout.readline()) if ready else None
    assert found is not None, f"the server did not start: {log.read_text()}"
    return found[0]
