"""What the kernel knows of the other side."""

from __future__ import annotations

import socket
import struct
from collections.abc import Generator

import pytest

from cria.server import peer
from tests.server.process import wait_for


@pytest.fixture
def pair() -> Generator[tuple[socket.socket, socket.socket], None, None]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


def test_silence_and_bytes_are_no_end(pair: Pair) -> None:
    ours, theirs = pair
    assert not peer.is_closed_by_peer(ours)
    theirs.sendall(b"more")
    assert not peer.is_closed_by_peer(ours)


@pytest.mark.parametrize("before", [b"", b"more"])
@pytest.mark.parametrize("is_reset", [False, True])
def test_an_end_is_seen_whatever_was_sent_before(pair: Pair, before: bytes, is_reset: bool) -> None:
    ours, theirs = pair
    theirs.sendall(before)
    if is_reset:
        peer.reset_on_close(theirs)
    theirs.close()
    wait_for(lambda: peer.is_closed_by_peer(ours))


def test_half_an_end_is_an_end(pair: Pair) -> None:
    ours, theirs = pair
    theirs.shutdown(socket.SHUT_WR)
    wait_for(lambda: peer.is_closed_by_peer(ours))


def test_a_socket_without_tcp_has_bytes_only() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        peer.prepare(ours)
        assert not peer.is_closed_by_peer(ours)
        theirs.close()
        assert peer.is_closed_by_peer(ours)


def test_options(pair: Pair) -> None:
    ours, _ = pair
    peer.prepare(ours)
    peer.bound_buffer(ours)
    peer.reset_on_close(ours)
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 4
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * peer.STREAM_BUFFER
    linger = ours.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    assert struct.unpack("ii", linger) == (1, 0)


def test_lingering_ends_our_half_and_takes_a_little(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"x" * 100_000)
    theirs.shutdown(socket.SHUT_WR)
    peer.linger(ours, 5.0)
    assert ours.recv(1) == b""
    assert theirs.recv(1) == b""


def test_lingering_has_an_end(pair: Pair) -> None:
    ours, theirs = pair
    peer.linger(ours, 0.05)
    assert theirs.recv(1) == b""
