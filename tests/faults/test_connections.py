"""Connections in numbers, connections that end, and what the engine hears of it."""

from __future__ import annotations

import json
import resource
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.faults.hostile_requests import lines
from tests.real_server import RealServer
from tests.real_server import wait_for as wait_until
from tests.server.process import (
    REPOSITORY,
    FakeServer,
    fake_server,
    post,
    read_port,
    read_to_end,
    read_until,
    wait_for,
)

pytestmark = [pytest.mark.fault]

GET = lines(b"Host: t", first=b"GET /health HTTP/1.1")
MAX = 8


@pytest.fixture
def small(tmp_path: Path) -> Generator[FakeServer, None, None]:
    with fake_server(tmp_path / "log", max_connections=MAX) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


def health(sock: socket.socket) -> bytes:
    sock.sendall(GET)
    return read_until(sock, b"}")


def reset(sock: socket.socket) -> None:
    """Closing sends a reset instead of an orderly end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class TestLimit:
    def test_one_too_many_is_a_503(self, small: FakeServer) -> None:
        with ExitStack() as stack:
            busy = [stack.enter_context(small.connect()) for _ in range(MAX)]
            for sock in busy:
                sock.sendall(post("one then silent", stream=True))
                read_until(sock, b"first")
            started = time.monotonic()
            for _ in range(3):
                with small.connect() as sock:
                    answer = read_to_end(sock)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"Retry-After: 1\r\n" in answer
                error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
                assert error["code"] == "too_many_connections"
            assert time.monotonic() - started < 1.5
        wait_for(lambda: self.is_served(small))
        wait_for(lambda: small.running() == 0)

    def test_the_longest_idle_connection_makes_room(self, small: FakeServer) -> None:
        with ExitStack() as stack:
            idle = [stack.enter_context(small.connect()) for _ in range(MAX)]
            for sock in idle:
                health(sock)
            with small.connect() as one_more:
                assert read_to_end(one_more).startswith(b"HTTP/1.1 503 ")  # all are too young
            wait_for(lambda: self.is_served(small))
            assert idle[0].recv(1) == b""
            assert health(idle[-1])

    def is_served(self, server: FakeServer) -> bool:
        with server.connect() as sock:
            try:
                return health(sock).startswith(b"HTTP/1.1 200 ")
            except (OSError, AssertionError):
                return False


class TestDescriptors:
    """`ulimit -n`, and more connections than that."""

    @contextmanager
    def start(self, log: Path, limit: int) -> Generator[FakeServer, None, None]:
        program = f'ulimit -n {limit}; exec "$0" -m tests.server.fake_server'
        with log.open("w") as errors:
            process = subprocess.Popen(
                ["bash", "-c", program, sys.executable],
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

    def test_it_serves_as_many_as_fit_and_recovers(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        with self.start(log, 64) as server:
            with ExitStack() as stack:
                for _ in range(200):
                    stack.enter_context(server.connect())
            wait_for(lambda: TestLimit().is_served(server))
        assert "may open 64 files here" in log.read_text()
        assert "Traceback" not in log.read_text()

    def test_it_survives_having_none_left(self, tmp_path: Path) -> None:
        """The limit falls to what is open, so that next to nothing can be accepted."""
        log_level = "debug"  # else nothing is said of a pause
        with fake_server(tmp_path / "log", log_level=log_level) as server, ExitStack() as stack:
            pid = server.process.pid
            server.running()
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            most = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (most + 1, before[1]))
            asking = [stack.enter_context(server.connect()) for _ in range(60)]
            wait_for(lambda: sum(map(self.is_closed, asking)) > 40)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (2, before[1]))
            asking = [stack.enter_context(server.connect()) for _ in range(10)]
            wait_for(lambda: "paused" in server.log.read_text())
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            wait_for(lambda: TestLimit().is_served(server))
            log = server.log.read_text()
        assert "Traceback" not in log
        assert log.count("connections are refused") <= 2

    def is_closed(self, sock: socket.socket) -> bool:
        sock.setblocking(False)
        try:
            return sock.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True


def test_a_flood_of_connections_leaves_nothing_open(tmp_path: Path) -> None:
    with fake_server(tmp_path / "log") as server:
        process = psutil.Process(server.process.pid)
        server.running()
        before = process.num_fds()
        for index in range(600):
            sock = server.connect()
            if index % 3 == 1:
                sock.sendall(GET[:10])
            reset(sock) if index % 3 else sock.close()
        wait_for(lambda: process.num_fds() <= before + 5)
        assert server.running() == 0
        assert "Traceback" not in server.log.read_text()


def test_a_thousand_requests_on_one_connection(tmp_path: Path) -> None:
    with fake_server(tmp_path / "log") as server, server.connect() as sock:
        for _ in range(1000):
            assert health(sock).startswith(b"HTTP/1.1 200 ")
        wait_for(lambda: server.log.read_text().count("GET /health 200") == 1000)


@pytest.mark.skipif(shutil.which("ss") is None, reason="there is no ss here")
def test_keep_alive_probes_find_machines_that_are_gone(tmp_path: Path) -> None:
    with fake_server(tmp_path / "log") as server, server.connect() as sock:
        health(sock)
        port = sock.getsockname()[1]
        found = subprocess.run(
            ["ss", "-tno", "dport", "=", f":{port}"], capture_output=True, text=True, check=True
        )
        assert "timer:(keepalive," in found.stdout


@pytest.mark.slow
class TestMany:
    def test_a_thousand_streams(self, tmp_path: Path) -> None:
        with fake_server(tmp_path / "log", max_connections=1100) as server, ExitStack() as stack:
            streams = [stack.enter_context(server.connect()) for _ in range(1000)]
            for sock in streams:
                sock.sendall(post("gated", stream=True))
            for sock in streams:
                read_until(sock, b"first")
            assert server.running() == 1000
            with server.connect() as sock:
                sock.sendall(post("open the gate"))
                read_until(sock, b"}}")
            for sock in streams:
                assert b"[DONE]" in read_until(sock, b"0\r\n\r\n")

    def test_three_thousand_that_come_and_go(self, tmp_path: Path) -> None:
        with fake_server(tmp_path / "log") as server:
            for _ in range(3000):
                with server.connect() as sock:
                    sock.sendall(GET)
                    assert read_until(sock, b"}").startswith(b"HTTP/1.1 200 ")
            assert "Traceback" not in server.log.read_text()

    def test_ten_thousand_idle_ones(self, tmp_path: Path) -> None:
        """The first thousand are held, the rest hears no; whoever asks something is served."""
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 10_200:
            pytest.skip("this machine allows fewer open files")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 10_200), hard))
        with fake_server(tmp_path / "log") as server, ExitStack() as stack:
            memory = psutil.Process(server.process.pid).memory_info
            before = memory().rss
            for _ in range(10_000):
                stack.enter_context(server.connect())
            wait_for(lambda: TestLimit().is_served(server))
            assert memory().rss - before < 100_000_000
            assert "Traceback" not in server.log.read_text()


@pytest.mark.integration
class TestDisconnect:
    """With a real engine: whatever a request is doing, its client's end is its own."""

    @pytest.fixture
    def server(self, tiny_gguf: Path, tmp_path: Path) -> Generator[RealServer, None, None]:
        options = ("--alias", "tiny", "--parallel", "1", "--context-size", "512")
        with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as running:
            yield running
            assert "Traceback" not in running.log.read_text()

    def connect(self, server: RealServer) -> socket.socket:
        return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), 30)

    def ask(self, server: RealServer, *, stream: bool, length: int = 400) -> socket.socket:
        body = json.dumps(
            {
                "model": "tiny",
                "prompt": "Hi",
                "max_tokens": length,
                "stream": stream,
                "ignore_eos": True,
            }
        )
        sock = self.connect(server)
        sock.sendall(lines(b"Host: localhost", b"Content-Length: %d" % len(body)) + body.encode())
        return sock

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("leave", [reset, socket.socket.close])
    def test_while_it_is_computed(
        self, server: RealServer, stream: bool, leave: Callable[[socket.socket], None]
    ) -> None:
        before = server.counters()
        sock = self.ask(server, stream=stream)
        wait_until(server.counters, lambda c: c["running"] or c != before, "the request to run")
        leave(sock)
        server.wait_until_idle()

    def test_while_it_waits(self, server: RealServer) -> None:
        """Nine wait behind one and leave: the engine never computes a prompt of theirs."""
        first = self.ask(server, stream=True, length=480)
        read_until(first, b"data: ")
        waiting = [self.ask(server, stream=False) for _ in range(9)]
        for sock in waiting:
            sock.close()
        first.close()
        server.wait_until_idle()
        with self.ask(server, stream=False, length=1) as last:
            assert read_until(last, b"}}").startswith(b"HTTP/1.1 200 ")

    def test_pipelined_bytes_are_no_end(self, server: RealServer) -> None:
        with self.ask(server, stream=True, length=200) as sock:
            sock.sendall(GET.replace(b"Host: t", b"Host: localhost"))
            answer = read_until(sock, b'"status"')
        assert b"[DONE]" in answer
