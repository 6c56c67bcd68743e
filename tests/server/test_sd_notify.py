"""One datagram for each state, if somebody listens."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cria.server.sd_notify import notify, start_watchdog


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "s"))
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "s"))
        yield sock


def test_it_hears(systemd: socket.socket) -> None:
    notify("READY=1")
    assert systemd.recv(100) == b"READY=1"


def test_an_abstract_name(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"cria-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify("STOPPING=1")
        assert sock.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "/no/such/socket"])
def test_nobody_needs_to_listen(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


def test_the_watchdog_is_told_again_and_again(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    end = start_watchdog()
    assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    end.set()


@pytest.mark.parametrize(("limit", "pid"), [("", None), ("0", None), ("x", None), ("20000", "1")])
def test_no_watchdog_is_wanted(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch, limit: str, pid: str | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    start_watchdog()
    systemd.settimeout(0.1)
    with pytest.raises(TimeoutError):
        systemd.recv(100)
