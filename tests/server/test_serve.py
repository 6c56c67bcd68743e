"""The server process: start, stop, and what goes wrong with an address."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.server.certificates import make_certificate
from tests.server.process import (
    PATIENCE_SECONDS,
    REPOSITORY,
    fake_server,
    post,
    read_to_end,
    read_until,
    wait_for,
)


def run_to_end(**settings: object) -> subprocess.CompletedProcess[str]:
    """A server that does not come up."""
    return subprocess.run(
        [sys.executable, "-m", "tests.server.fake_server", json.dumps(settings)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with fake_server(tmp_path / "log") as server:
        with server.connect():  # an idle connection must not hold it up
            server.process.send_signal(number)
            assert server.process.wait(5) == 0
        assert "Traceback" not in server.log.read_text()


def test_a_signal_ends_open_streams(tmp_path: Path) -> None:
    limits = {"drain_timeout_seconds": 0.2}
    with fake_server(tmp_path / "log", **limits) as server, server.connect() as sock:
        sock.sendall(post("one then silent", stream=True))
        read_until(sock, b"first")
        server.process.terminate()
        assert b"[DONE]" not in read_to_end(sock)
        assert server.process.wait(5) == 0


def test_a_model_that_cannot_be_loaded_ends_it_with_the_reason() -> None:
    ended = run_to_end(load_error="The model is broken.")
    assert ended.returncode == 1
    assert "The model is broken." in ended.stderr
    assert ended.stdout == ""


def accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_while_the_model_loads_it_answers_and_can_be_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = json.dumps({"loading": True, "port": port})
    command = [sys.executable, "-m", "tests.server.fake_server", settings]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: accepts(port))
            answer = requests.get(f"http://127.0.0.1:{port}/health", timeout=PATIENCE_SECONDS)
            assert answer.status_code == 503
            assert answer.json()["error"]["message"] == "Loading model"
            process.terminate()
            assert process.wait(5) == 0
        finally:
            process.kill()


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_to_end(port=port)
    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        f"Cannot listen on 127.0.0.1 port {port}: "
        "another program uses it; choose another with --port."
    )


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_port_that_others_share_is_in_use_too(num_workers: int) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = run_to_end(port=taken.getsockname()[1], num_workers=num_workers)
    assert ended.returncode == 1
    assert "another program uses it" in ended.stderr


@pytest.mark.parametrize(
    ("host", "words"),
    [("192.0.2.1", "does not have that address"), ("no-such-host.invalid", "is not known")],
)
def test_a_bad_address_is_one_sentence(host: str, words: str) -> None:
    ended = run_to_end(host=host)
    assert ended.returncode == 1
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_localhost_means_ipv4(tmp_path: Path) -> None:
    with fake_server(tmp_path / "log", host="localhost") as server:
        assert server.running() == 0


def test_a_tls_handshake_that_does_not_come_ends_the_connection(tmp_path: Path) -> None:
    cert, key = map(str, make_certificate(tmp_path))
    limits = {"tls_cert": cert, "tls_key": key, "header_timeout": 0.3}
    with fake_server(tmp_path / "log", **limits) as server, server.connect() as sock:
        sock.sendall(b"\x16")  # the beginning of a hello
        assert read_to_end(sock) == b""
        wait_for(lambda: "no TLS with" in server.log.read_text())
        assert "Traceback" not in server.log.read_text()
