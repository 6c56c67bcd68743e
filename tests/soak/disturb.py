"""What breaks: engines that die or sleep, bursts of schemas and of connections, restarts."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
import requests

from tests.real_server import wait_for
from tests.soak.mix import CHAT, MODEL, schema_format
from tests.soak.settings import KEY
from tests.soak.target import Target

SLEEP_SECONDS = 2.0
NUM_SCHEMAS, NUM_CONNECTIONS = 50, 300
NUM_CACHED_SCHEMAS, NUM_AT_ONCE = 2400, 8
PATIENCE_SECONDS = 90.0
SLACK_SECONDS = 1.0
"""After a fault, for those who have heard of it late."""

_schema_numbers = itertools.count(2**41)


@dataclass
class Fault:
    """One disturbance: what happened, and when others may fail because of it."""

    kind: str
    start: float
    end: float = 0.0
    recovery_seconds: float | None = None
    """After a kill: from the engine's end until another one is ready."""
    problems: list[str] = field(default_factory=list)

    def excuses(self, start: float, end: float) -> bool:
        """Whether a request of these times may be its victim."""
        return (
            self.kind in ("kill", "restart")
            and start <= self.end + SLACK_SECONDS
            and end >= self.start
        )


def disturb(kind: str, target: Target) -> Fault:
    """Do it, and wait until it is over."""
    fault = Fault(kind, time.time())
    try:
        _DISTURBANCES[kind](target, fault)
    except AssertionError as error:
        fault.problems.append(f"{kind}: {error}")
    fault.end = time.time()
    return fault


def _kill(target: Target, fault: Fault) -> None:
    engine = _engine(target)
    began = time.monotonic()
    engine.kill()
    wait_for(
        target.engine,
        lambda found: found is not None and found.pid != engine.pid,
        "a new engine",
        PATIENCE_SECONDS,
    )
    wait_for(target.health, bool, "the new engine to be ready", PATIENCE_SECONDS)
    fault.recovery_seconds = time.monotonic() - began


def _sleep(target: Target, fault: Fault) -> None:
    """The engine stands still, and nobody's request fails for that."""
    engine = _engine(target)
    engine.suspend()
    time.sleep(SLEEP_SECONDS)
    engine.resume()
    if not engine.is_running():
        fault.problems.append("an engine that slept for two seconds was ended")


def _engine(target: Target) -> psutil.Process:
    found: psutil.Process = wait_for(target.engine, bool, "an engine", PATIENCE_SECONDS)
    return found


def _send_schemas(target: Target, fault: Fault) -> None:
    """Grammars that nobody has compiled yet, all at once."""
    statuses = send_schemas(target, NUM_SCHEMAS)
    wrong = sorted(set(statuses) - {200, 429})
    if wrong or len(statuses) < NUM_SCHEMAS:
        fault.problems.append(f"schemas: {len(statuses)} answers, with the statuses {wrong}")


def fill_caches(target: Target) -> None:
    """Those of grammars hold 128 MiB in either process: else they would look like a leak."""
    for _ in range(NUM_CACHED_SCHEMAS // NUM_AT_ONCE):
        send_schemas(target, NUM_AT_ONCE)


def send_schemas(target: Target, count: int) -> list[int]:
    """The statuses of the answers."""
    statuses: list[int] = []

    def ask() -> None:
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": "hello"}],
            "max_tokens": 4,
            "response_format": schema_format(next(_schema_numbers)),
        }
        with contextlib.suppress(requests.RequestException):
            answer = requests.post(
                target.url + CHAT,
                json=body,
                headers={"Authorization": f"Bearer {KEY}", "Connection": "close"},
                timeout=PATIENCE_SECONDS,
            )
            statuses.append(answer.status_code)

    _at_once(ask, count)
    return statuses


def _connect(target: Target, fault: Fault) -> None:
    """Connections that say nothing, then one that does: it is answered all the same."""
    with contextlib.ExitStack() as stack:
        for _ in range(NUM_CONNECTIONS):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection(target.address, 10))
        if target.health() is None:
            fault.problems.append(f"no answer beside {NUM_CONNECTIONS} connections")


def _restart(target: Target, fault: Fault) -> None:
    code = target.restart()
    if code != 0:
        fault.problems.append(f"the server ended with code {code} after SIGTERM")


def _at_once(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


_DISTURBANCES: dict[str, Callable[[Target, Fault], None]] = {
    "kill": _kill,
    "stop": _sleep,
    "schemas": _send_schemas,
    "connections": _connect,
    "restart": _restart,
}


def cancel_milliseconds(target: Target) -> float:
    """On a quiet server: from a client's end until nothing runs any more."""
    body = {"model": MODEL, "prompt": "hello", "max_tokens": 480, "stream": True}
    data = json.dumps({**body, "ignore_eos": True}).encode()
    head = (
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(target.address, 30) as connection:
        connection.sendall(head.encode() + data)
        connection.recv(1)
    began = time.perf_counter()
    wait_for(target.health, lambda found: found and not found["running"], "a free slot")
    return (time.perf_counter() - began) * 1000
