"""A server of a tiny model whose engine fails on order, and what tests ask of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.real_server import RealServer, command_line, wait_for

OPTIONS = ("--alias", "tiny", "--parallel", "4", "--context-size", "512", "--threads", "1")
TEXT = {"model": "tiny", "ignore_eos": True, "temperature": 0, "seed": 1}


@contextmanager
def faulty(
    model: Path,
    tmp_path: Path,
    fault: str,
    *more_options: str,
    times: int = 1,
    options: tuple[str, ...] = OPTIONS,
) -> Iterator[RealServer]:
    """A server whose engines do this, so many times together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRIA_TEST_FAULT", fault)
        patch.setenv("CRIA_TEST_FAULTS_ALLOWED", "1")
        patch.setenv("CRIA_TEST_FAULT_FILE", str(tmp_path / "count"))
        patch.setenv("CRIA_TEST_FAULT_TIMES", str(times))
        with RealServer.start(model, *options, *more_options, log=tmp_path / "log") as server:
            yield server


def engine_of(server_pid: int) -> psutil.Process | None:
    """The engine process of a server, if there is one now."""
    children = psutil.Process(server_pid).children()
    return next((child for child in children if "cria.engine" in command_line(child)), None)


def health(server: RealServer) -> requests.Response:
    return requests.get(f"{server.url}/health", timeout=10)


def wait_until_ready(server: RealServer, restarts: int) -> None:
    wait_for(
        lambda: health(server),
        lambda answer: answer.ok and answer.json()["engine"]["restarts"] >= restarts,
        "the next engine",
    )


def complete(
    server: RealServer, prompt: str | list[int] = "hello", **more: Any
) -> requests.Response:
    return server.post("/v1/completions", {**TEXT, "prompt": prompt, "max_tokens": 8, **more})


def stream(server: RealServer, prompt: str = "hello", **more: Any) -> requests.Response:
    body = {**TEXT, "prompt": prompt, "max_tokens": 400, "stream": True, **more}
    return server.post("/v1/completions", body, stream=True)


def events(response: requests.Response) -> Iterator[str]:
    """What comes after `data: `, up to the end of the stream."""
    for line in response.iter_lines(chunk_size=1):
        if line.startswith(b"data: "):
            yield line[6:].decode()


def first_of(response: requests.Response) -> Iterator[str]:
    """The events, of which the first one with text has been read."""
    found = events(response)
    assert any(json.loads(event)["choices"][0]["text"] is not None for event in found)
    return found


def error_of(event: str) -> dict[str, Any]:
    """The error object of a stream's event or of an answer."""
    error: dict[str, Any] = json.loads(event)["error"]
    return error
