"""Several front processes, one port, one engine: who serves, who dies, and who hears of it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.real_server import PATIENCE_SECONDS, REPOSITORY, RealServer, command_line, wait_for

pytestmark = pytest.mark.integration

LONG = {
    "model": "smollm2",
    "prompt": "Once",
    "max_tokens": 900,
    "ignore_eos": True,
    "stream": True,
}
OPTIONS = (
    *("--workers", "2", "--alias", "smollm2", "--context-size", "1024"),
    *("--drain-timeout", "0.5"),
)


class Client:
    """One connection, whose other end is known to be in one process."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._reader = connection.makefile("rb")

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status and body of `/health`, as this connection's process sees it."""
        self.socket.sendall(b"GET /health HTTP/1.1\r\nHost: [::1]\r\n\r\n")
        status = int(self._reader.readline().split()[1])
        length = 0
        while line := self._reader.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, json.loads(self._reader.read(length))

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.health()[1]["engine"]
        return counters

    def start_stream(self) -> None:
        """Ask for a long one, and read its first event."""
        data = json.dumps(LONG).encode()
        length = f"Content-Length: {len(data)}"
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n"
        self.socket.sendall(head.encode() + data)
        self.read_event()

    def read_event(self) -> dict[str, Any]:
        while not (line := self._reader.readline()).startswith(b"data: {"):
            assert line, "the stream has ended"
        event: dict[str, Any] = json.loads(line[6:])
        return event

    def read_to_end(self) -> bytes:
        """What still comes until the server ends the connection, or the stream."""
        data = b""
        try:
            while line := self._reader.readline():
                data += line
                if line == b"0\r\n":
                    break
        except ConnectionResetError:
            pass
        return data

    def close(self) -> None:
        self._reader.close()
        self.socket.close()


class Fleet:
    """A server with several front processes, seen from outside."""

    def __init__(self, server: RealServer) -> None:
        self.server = server
        self.main = psutil.Process(server.process.pid)
        self.port = int(server.url.rpartition(":")[2])
        self.clients: list[Client] = []

    @classmethod
    def of(cls, server: RealServer) -> Fleet:
        fleet = cls(server)
        fleet.wait_for_workers()
        return fleet

    def engine(self) -> psutil.Process:
        return self._children("cria.engine")[0]

    def workers(self) -> list[psutil.Process]:
        return self._children("cria.server.worker")

    def fronts(self) -> list[psutil.Process]:
        return [self.main, *self.workers()]

    def wait_for_workers(self) -> None:
        """Until they listen too."""
        wait_for(
            lambda: [len(self._local_ends(front, "LISTEN")) for front in self.fronts()],
            lambda counts: counts == [1, 1],
            "the workers to listen",
        )

    def connect(self, front: psutil.Process) -> Client:
        """A connection that the kernel gave to this process."""
        for _ in range(100):
            connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)
            if self.holder(connection) == front:
                self.clients.append(Client(connection))
                return self.clients[-1]
            connection.close()
        raise AssertionError("100 connections, and none went to this process")

    def holder(self, connection: socket.socket) -> psutil.Process:
        """The process that accepted it."""
        own_port = connection.getsockname()[1]

        def find() -> list[psutil.Process]:
            return [
                front
                for front in self.fronts()
                if own_port in {end.raddr.port for end in self._local_ends(front, "ESTABLISHED")}
            ]

        return wait_for(find, lambda found: found, "somebody to accept")[0]  # type: ignore[no-any-return]

    def stream_in_each(self) -> list[Client]:
        clients = [self.connect(front) for front in self.fronts()]
        for client in clients:
            client.start_stream()
        return clients

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def _local_ends(self, process: psutil.Process, status: str) -> list[Any]:
        try:
            ends = process.net_connections("tcp")
        except psutil.NoSuchProcess:
            return []
        return [end for end in ends if end.laddr.port == self.port and end.status == status]

    def _children(self, module: str) -> list[psutil.Process]:
        return [child for child in self.main.children() if module in command_line(child)]


@pytest.fixture
def fleet(default_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    with RealServer.start(default_model, *OPTIONS, log=tmp_path / "log") as server:
        fleet = Fleet.of(server)
        yield fleet
        fleet.close()
    wait_for(lambda: list(folder.iterdir()), lambda left: left == [], "an empty folder")


def wait_for_ready(client: Client) -> None:
    wait_for(client.health, lambda answer: answer[0] == 200, "the engine to be back")


def wait_until_gone(processes: list[psutil.Process]) -> None:
    assert psutil.wait_procs(processes, timeout=10)[1] == []


def test_fresh_connections_are_served_by_all_processes(fleet: Fleet) -> None:
    held = {front.pid: 0 for front in fleet.fronts()}
    for _ in range(48):
        connection = socket.create_connection(("127.0.0.1", fleet.port), PATIENCE_SECONDS)
        fleet.clients.append(Client(connection))
        assert fleet.clients[-1].health()[0] == 200
        held[fleet.holder(connection).pid] += 1
    assert sum(held.values()) == 48
    assert min(held.values()) > 4, held
    cards = [requests.get(f"{fleet.server.url}/v1/models", timeout=30).json() for _ in range(16)]
    assert all(card == cards[0] for card in cards)


def test_streams_of_different_processes_share_steps(fleet: Fleet) -> None:
    probes = [fleet.connect(front) for front in fleet.fronts()]
    streams = fleet.stream_in_each()
    for probe in probes:
        wait_for(probe.counters, lambda c: c["running"] == 2, "both streams")
    before = probes[0].counters()
    after = wait_for(
        probes[0].counters,
        lambda c: c["decode_tokens_total"] > before["decode_tokens_total"] + 100,
        "a hundred tokens",
    )
    tokens = after["decode_tokens_total"] - before["decode_tokens_total"]
    steps = after["decode_steps_total"] - before["decode_steps_total"]
    assert tokens / steps > 1.5, f"{tokens} tokens in {steps} steps"
    for stream in streams:
        stream.close()
    for probe in probes:
        idle = wait_for(probe.counters, lambda c: c["running"] == 0, "no streams")
        assert idle["used_cells"] == 0


def test_a_killed_worker_takes_only_its_own_streams_along_and_is_replaced(fleet: Fleet) -> None:
    kept, lost = fleet.stream_in_each()
    (worker,) = fleet.workers()
    probe = fleet.connect(fleet.main)
    worker.kill()
    assert b"[DONE]" not in lost.read_to_end()
    wait_for(probe.counters, lambda c: c["running"] == 1, "its sequence to be cancelled")
    for _ in range(20):
        kept.read_event()
    kept.close()
    wait_for(probe.counters, lambda c: c["running"] == c["used_cells"] == 0, "an idle engine")
    fleet.wait_for_workers()
    (replacement,) = fleet.workers()
    assert replacement.pid != worker.pid
    client = fleet.connect(replacement)
    wait_for_ready(client)
    client.start_stream()
    assert "was ended by SIGKILL; starting it again" in fleet.server.log.read_text()


def test_a_killed_engine_fails_the_streams_of_all_and_is_back_for_all(fleet: Fleet) -> None:
    streams = fleet.stream_in_each()
    first = fleet.engine()
    first.kill()
    for stream in streams:
        assert b"engine_crashed" in stream.read_to_end()
    probes = [fleet.connect(front) for front in fleet.fronts()]
    for probe in probes:
        wait_for_ready(probe)
        assert probe.counters()["restarts"] == 1
        probe.start_stream()
    assert fleet.engine().pid != first.pid


def test_a_workers_waiting_request_outlives_the_engine(fleet: Fleet) -> None:
    engine, (worker,) = fleet.engine(), fleet.workers()
    client = fleet.connect(worker)
    engine.suspend()
    body = json.dumps({**LONG, "stream": False}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: [::1]\r\nContent-Length: {len(body)}\r\n\r\n"
    client.socket.sendall(head.encode() + body)
    fleet.connect(worker).health()  # the same event loop has read the request before this one
    engine.kill()
    assert client._reader.readline().startswith(b"HTTP/1.1 200")


def test_nobody_outlives_a_killed_main_process(fleet: Fleet) -> None:
    streams = fleet.stream_in_each()
    others = [fleet.engine(), *fleet.workers()]
    fleet.main.kill()
    wait_until_gone(others)
    for stream in streams:
        assert b"[DONE]" not in stream.read_to_end()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", fleet.port)) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_and_open_streams_hear_of_it(
    fleet: Fleet, number: signal.Signals
) -> None:
    streams = fleet.stream_in_each()
    others = [fleet.engine(), *fleet.workers()]
    texts: list[bytes] = []
    threads = [threading.Thread(target=lambda s=s: texts.append(s.read_to_end())) for s in streams]
    for thread in threads:
        thread.start()
    fleet.main.send_signal(number)
    for thread in threads:
        thread.join()
    assert fleet.server.process.wait(10) == 0
    wait_until_gone(others)
    assert [b"The server is shutting down." in text for text in texts] == [True, True], texts
    assert "Traceback" not in fleet.server.log.read_text()
    assert "starting it again" not in fleet.server.log.read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_server_on_the_port_is_refused(
    fleet: Fleet, workers: str, tiny_gguf: Path
) -> None:
    command = [sys.executable, "-m", "cria", "serve", str(tiny_gguf), "--workers", workers]
    result = subprocess.run(
        [*command, "--port", str(fleet.port)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert result.returncode == 1
    assert "another program uses it; choose another with --port." in result.stderr


def test_keys_hold_in_every_process_and_stand_in_no_command_line(
    default_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRIA_API_KEY", "very-secret")
    with RealServer.start(default_model, *OPTIONS, log=tmp_path / "log") as server:
        fleet = Fleet.of(server)
        for front in fleet.fronts():
            client = fleet.connect(front)
            client.socket.sendall(b"GET /v1/models HTTP/1.1\r\nHost: [::1]\r\n\r\n")
            assert client._reader.readline().startswith(b"HTTP/1.1 401")
        lines = [word for front in [*fleet.fronts(), fleet.engine()] for word in front.cmdline()]
        assert not any("very-secret" in word for word in lines)
        fleet.close()
