"""`same_state`: after a fault, a server is as it was before.

The engine is the same process; nothing runs, nothing waits, and the cells in use are the cache's
alone; descriptors, threads and children are back at what they were; and a greedy request has the
answer that it had. All of it is waited for, because a server may take a moment to notice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import psutil
import requests

from tests.real_server import RealServer, command_line, wait_for

PATIENCE_SECONDS = 15.0
LAZY_THREADS = 24
"""gevent's pool, that of the store and the compiler of grammars start their threads when they are
first needed, and keep them: no more than so many in all."""
CANARY: Mapping[str, Any] = {
    "prompt": "Hi",
    "max_tokens": 8,
    "temperature": 0,
    "ignore_eos": True,
    "return_token_ids": True,
}


class ProcessState(NamedTuple):
    """What one process holds."""

    pid: int
    num_descriptors: int
    """Without the connections whose client is still there: those are the test's."""
    num_threads: int


class ServerState(NamedTuple):
    """What a quiet server holds."""

    server: ProcessState
    engine: ProcessState
    children: frozenset[int]
    """Of the server, and theirs; the engine among them."""


class Question(NamedTuple):
    """How a server is asked for the canary's answer."""

    url: str
    headers: Mapping[str, str]
    model: str

    def ask(self) -> list[int]:
        """The tokens that the canary sings."""
        answer = requests.post(
            f"{self.url}/v1/completions",
            json={**CANARY, "model": self.model},
            headers={**self.headers, "Connection": "close"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        tokens: list[int] = answer.json()["choices"][0]["token_ids"]
        return tokens


@contextmanager
def same_state(
    server: RealServer,
    *,
    api_key: str | None = None,
    new_engine: bool = False,
    patience: float = PATIENCE_SECONDS,
) -> Iterator[ServerState]:
    """What happens inside leaves no trace; AssertionError with both states if it does.

    With `new_engine` the engine has to be another process afterwards, but else as the first one.
    The test's own connections may stay open.
    """
    question = ask_for(server.url, api_key)
    wait_until_quiet(server, patience)
    # Twice: the second prompt may come from the prefix cache.
    answers = [question.ask(), question.ask()]
    before = observe(server)
    yield before
    if new_engine:  # first: else the old one's last news may pass for the new one's
        old = before.engine.pid
        wait_for(
            lambda: observe(server).engine.pid, lambda pid: pid != old, "a new engine", patience
        )
    wait_until_quiet(server, patience)
    wait_for(
        lambda: differences(before, observe(server), new_engine=new_engine),
        lambda found: not found,
        "the server to be as it was",
        patience,
    )
    again = question.ask()
    assert again in answers, f"the canary's tokens were {answers}, and now are {again}"


def ask_for(url: str, api_key: str | None = None) -> Question:
    """The canary's question to this server's first model."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    models = requests.get(
        f"{url}/v1/models", headers={**headers, "Connection": "close"}, timeout=60
    )
    return Question(url, headers, models.json()["data"][0]["id"])


def wait_until_quiet(server: RealServer, patience: float = PATIENCE_SECONDS) -> None:
    """Wait until the engine is ready, nobody's sequence runs or waits, and no cell is in use."""
    wait_for(lambda: engine_health(server.url), is_quiet, "a quiet engine", patience)


def engine_health(url: str) -> dict[str, Any] | None:
    """The engine's counters; None while it is not ready."""
    answer = requests.get(f"{url}/health", headers={"Connection": "close"}, timeout=60)
    return answer.json()["engine"] if answer.status_code == 200 else None


def is_quiet(engine: dict[str, Any] | None) -> bool:
    """Nothing runs, nothing waits; cells in use are those of running sequences alone."""
    return engine is not None and not any(
        engine[name] for name in ("running", "waiting", "used_cells")
    )


def observe(server: RealServer) -> ServerState:
    """What server and engine hold now."""
    process = psutil.Process(server.process.pid)
    children = process.children(recursive=True)
    engine = wait_for(lambda: find_engine(process), bool, "an engine process")
    pids = frozenset(child.pid for child in children)
    return ServerState(process_state(process), process_state(engine), pids)


def find_engine(process: psutil.Process) -> psutil.Process | None:
    """The server's engine, if there is one."""
    children = process.children()
    return next((child for child in children if "cria.engine" in command_line(child)), None)


def process_state(process: psutil.Process) -> ProcessState:
    """What the process holds now; nothing if it has just ended."""
    try:
        held = process.net_connections("tcp")
        num_clients = sum(each.status == psutil.CONN_ESTABLISHED for each in held)
        return ProcessState(process.pid, process.num_fds() - num_clients, process.num_threads())
    except psutil.Error:
        return ProcessState(process.pid, 0, 0)


def differences(
    before: ServerState, after: ServerState, *, new_engine: bool = False
) -> dict[str, Any]:
    """What is not as it was, by its name: how it was and how it is."""
    found: dict[str, Any] = {}
    expected: Callable[[int, int], bool] = int.__ne__ if new_engine else int.__eq__
    if not expected(before.engine.pid, after.engine.pid):
        found["engine"] = before.engine.pid, after.engine.pid
    if len(before.children) != len(after.children) or (
        not new_engine and before.children != after.children
    ):
        found["children"] = describe(before.children), describe(after.children)
    for name in ("server", "engine"):
        old, new = getattr(before, name), getattr(after, name)
        if new.num_descriptors > old.num_descriptors or not new.num_descriptors:
            found[f"{name}'s descriptors"] = old.num_descriptors, new.num_descriptors
        if new.num_threads > max(old.num_threads, LAZY_THREADS + (os.cpu_count() or 1)):
            found[f"{name}'s threads"] = old.num_threads, new.num_threads
    return found


def describe(pids: frozenset[int]) -> list[str]:
    """Of each process, its number, its state and its first words."""
    found = []
    for pid in sorted(pids):
        try:
            process = psutil.Process(pid)
            found.append(f"{pid} {process.status()} {' '.join(process.cmdline()[:4])}")
        except psutil.Error:
            found.append(f"{pid} gone")
    return found
