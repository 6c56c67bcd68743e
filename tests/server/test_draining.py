"""Idle connections end, requests do not; without a server of gevent's."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from flask import Flask

from cria.access_key import hashed
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server import draining
from cria.server.app import create_app
from cria.server.draining import Connections, accept_waiting, drain
from cria.server.stopping import Stopping
from tests.fakes import HELLO, FakeGeneration


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        yield ours, theirs


@pytest.fixture
def stopping() -> Stopping:
    made = Stopping()
    made.begin(0, 0)
    return made


@pytest.fixture
def app(stopping: Stopping) -> Flask:
    generation: Generation = FakeGeneration({"hello": HELLO})  # type: ignore[assignment]
    made = create_app(ModelPool.of(generation), ServerConfig(keys=(hashed("k"),)))
    draining.attach(made, stopping)
    return made


class FakeServer:
    """As many connections wait as it is told; so many are open."""

    def __init__(self, num_waiting: int = 0, num_open: int = 0) -> None:
        self.connections = Connections()
        self.pool = [None] * num_open
        self.num_waiting = num_waiting
        self.handled = 0
        self.closed_after = -1

    def full(self) -> bool:
        return False

    def do_read(self) -> tuple[object, object] | None:
        self.num_waiting -= 1
        return (None, None) if self.num_waiting >= 0 else None

    def do_handle(self, *_: object) -> None:
        self.handled += 1

    def close(self) -> None:
        self.closed_after = self.handled


def test_an_idle_connection_ends(pair: tuple[socket.socket, socket.socket]) -> None:
    connections = Connections()
    with connections.idle(pair[0], is_fresh=False):
        connections.end_idle()
        assert pair[0].recv(10) == b""


def test_what_was_sent_before_is_still_read(pair: tuple[socket.socket, socket.socket]) -> None:
    connections = Connections()
    pair[1].sendall(b"GET /")
    with connections.idle(pair[0], is_fresh=False):
        connections.end_idle()
        assert pair[0].recv(10) == b"GET /"


def test_a_fresh_one_has_a_moment_for_its_request(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = Connections()
    with connections.idle(pair[0], is_fresh=True):
        connections.end_idle()
        pair[1].sendall(b"x")
        assert pair[0].recv(10) == b"x"
        monkeypatch.setattr(time, "monotonic", lambda: float("inf"))
        connections.end_idle()
        assert pair[0].recv(10) == b""


def test_one_that_is_asked_something_goes_on(pair: tuple[socket.socket, socket.socket]) -> None:
    connections = Connections()
    with connections.idle(pair[0], is_fresh=False):
        pass
    connections.end_idle()
    pair[1].sendall(b"x")
    assert pair[0].recv(10) == b"x"


def test_one_that_has_just_ended_is_no_failure(pair: tuple[socket.socket, socket.socket]) -> None:
    connections = Connections()
    with connections.idle(pair[0], is_fresh=False):
        pair[0].close()
        connections.end_idle()


def test_what_waits_is_accepted_before_the_listener_closes(stopping: Stopping) -> None:
    server = FakeServer(num_waiting=3)
    drain(server, stopping, lambda: 0)
    assert (server.handled, server.closed_after) == (3, 3)
    assert stopping.is_closed


def test_without_descriptors_what_waits_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    server = FakeServer()

    def fail() -> None:
        raise OSError("Too many open files")

    server.do_read = fail  # type: ignore[method-assign]
    accept_waiting(server)
    assert "Too many open files" in caplog.text


@pytest.mark.parametrize(("num_open", "num_busy"), [(1, 0), (0, 1)])
def test_it_waits_for_what_runs(num_open: int, num_busy: int) -> None:
    stopping = Stopping()
    stopping.begin(0, 0.2)
    began = time.monotonic()
    drain(FakeServer(num_open=num_open), stopping, lambda: num_busy)
    assert time.monotonic() - began >= 0.2


def test_it_does_not_wait_when_it_has_to_end_now() -> None:
    stopping = Stopping()
    stopping.begin(60, 60)
    stopping.end()
    began = time.monotonic()
    drain(FakeServer(num_open=1), stopping, lambda: 0)
    assert time.monotonic() - began < 5


def test_health_fails_at_once_and_life_goes_on(app: Flask, stopping: Stopping) -> None:
    client = app.test_client()
    assert client.get("/readyz").status_code == 200
    stopping.ask()
    for path in ("/health", "/readyz", "/v1/readyz"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Connection"]) == (503, "close")
        assert answer.get_json()["error"]["message"] == "The server is shutting down"
    assert client.get("/livez").status_code == 200


def test_requests_are_served_until_it_is_closed(app: Flask, stopping: Stopping) -> None:
    client = app.test_client()
    key = {"Authorization": "Bearer k"}
    assert "Connection" not in client.get("/v1/models", headers=key).headers
    stopping.ask()
    answer = client.get("/v1/models", headers=key)
    assert (answer.status_code, answer.headers["Connection"]) == (200, "close")
    stopping.close()
    answer = client.get("/v1/models", headers=key)
    assert answer.status_code == 503
    assert answer.get_json()["error"]["code"] == "server_shutting_down"
    assert (answer.headers["Connection"], answer.headers["Retry-After"]) == ("close", "1")
    assert client.get("/livez").status_code == 200
