"""Clients that are slow, by intent or not: every wait for them ends."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator

import pytest

from tests.faults.hostile_requests import chunks, lines
from tests.server.process import FakeServer, fake_server, post, read_to_end, read_until, wait_for

pytestmark = [pytest.mark.hostile]

GET = lines(b"Host: t", first=b"GET /health HTTP/1.1")
SHORT = {"header_timeout": 0.5, "body_timeout": 0.4, "idle_timeout": 0.6, "write_timeout": 1.0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[FakeServer, None, None]:
    log = tmp_path_factory.mktemp("timeouts") / "log"
    with fake_server(log, **SHORT) as running:
        yield running
        assert "Traceback" not in log.read_text()


def drip(sock: socket.socket, data: bytes, seconds: float) -> None:
    """Byte after byte, until the other side has had enough."""
    pause = seconds / len(data)
    for index in range(len(data)):
        try:
            sock.send(data[index : index + 1])
            sock.settimeout(pause)
            sock.recv(1, socket.MSG_PEEK)
            break
        except TimeoutError:
            continue
        except OSError:
            break
    sock.settimeout(15)


@pytest.mark.parametrize("head", [GET, b"GET /" + b"x" * 100, b"\r\n"])
def test_headers_that_drip_are_a_408(server: FakeServer, head: bytes) -> None:
    with server.connect() as sock:
        started = time.monotonic()
        drip(sock, head[:-2] or head, 5.0)
        answer = read_to_end(sock)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in answer
    assert 0.4 < time.monotonic() - started < 3


@pytest.mark.parametrize(
    "request_",
    [
        lines(b"Host: t", b"Content-Length: 9") + b"hello",
        chunks(b"9\r\nhello"),
        chunks(b"5\r\nhello\r\n"),
        chunks(b"5\r\nhello\r\n0\r\nA: "),
    ],
)
def test_a_body_that_stops_is_a_408(server: FakeServer, request_: bytes) -> None:
    with server.connect() as sock:
        started = time.monotonic()
        sock.sendall(request_)
        assert read_to_end(sock).startswith(b"HTTP/1.1 408 ")
    assert 0.3 < time.monotonic() - started < 3


def test_a_body_that_drips_is_a_408(server: FakeServer) -> None:
    """No pause of it is too long, but all of them together are."""
    with server.connect() as sock:
        sock.sendall(lines(b"Host: t", b"Content-Length: 100"))
        started = time.monotonic()
        drip(sock, b" " * 50, 10.0)
        assert read_to_end(sock).startswith(b"HTTP/1.1 408 ")
    assert 1.4 < time.monotonic() - started < 5


@pytest.mark.parametrize("before", [b"", GET])
def test_an_idle_connection_is_closed_without_a_word(server: FakeServer, before: bytes) -> None:
    with server.connect() as sock:
        if before:
            sock.sendall(before)
            read_until(sock, b"}")
        started = time.monotonic()
        assert read_to_end(sock) == b""
    assert 0.4 < time.monotonic() - started < 3


def test_a_client_that_does_not_read_is_given_up(server: FakeServer) -> None:
    """The kernel takes little for it; then its run waits, and ends with the time limit."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(post("endless", stream=True))
        wait_for(lambda: server.running() == 1)
        wait_for(lambda: server.running() == 0)
        sock.settimeout(5)
        assert num_readable(sock) < 1_000_000
    wait_for(lambda: " 499 " in server.log.read_text())


def num_readable(sock: socket.socket) -> int:
    """Bytes that come before the end, which is a reset."""
    total = 0
    try:
        while block := sock.recv(65536):
            total += len(block)
    except ConnectionResetError:
        pass
    return total


def test_a_client_that_reads_slowly_is_served(server: FakeServer) -> None:
    """As long as it takes something now and then, no limit ends its stream."""
    total = 0
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(post("endless", stream=True))
        deadline = time.monotonic() + 2.5
        while time.monotonic() < deadline:
            block = sock.recv(16384)
            assert block
            total += len(block)
            server.running()  # a pause, and others are served meanwhile
        assert server.running() == 1
    wait_for(lambda: server.running() == 0)
    assert total > 0
