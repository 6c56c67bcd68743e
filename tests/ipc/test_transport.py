from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cria.ipc.transport import MAX_FRAME_BYTES, PeerGone, Transport


@pytest.fixture
def pair() -> Iterator[tuple[Transport, socket.socket]]:
    ours, theirs = socket.socketpair()
    transport = Transport(ours)
    with theirs:
        yield transport, theirs
        transport.close()


def framed(*frames: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)


def test_frames_arrive_whole_and_in_order(pair: tuple[Transport, socket.socket]) -> None:
    transport, theirs = pair
    other = Transport(theirs)
    transport.send(b"one", b"", b"three")
    assert other.receive() == [b"one", b"", b"three"]
    other.send(b"four")
    assert transport.receive() == [b"four"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6), st.data())
def test_any_cut_of_the_bytes_gives_the_same_frames(
    frames: list[bytes], data: st.DataObject
) -> None:
    stream = framed(*frames)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=5)))
    ours, theirs = socket.socketpair()
    transport, received = Transport(ours), []
    with theirs:
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            theirs.sendall(stream[start:end])
            received += transport.receive(block=False)
    transport.close()
    assert received == frames


def test_not_blocking_returns_at_once(pair: tuple[Transport, socket.socket]) -> None:
    transport, theirs = pair
    assert transport.receive(block=False) == []
    theirs.sendall(framed(b"x")[:3])
    assert transport.receive(block=False) == []


def test_end_of_file_is_peer_gone(pair: tuple[Transport, socket.socket]) -> None:
    transport, theirs = pair
    theirs.close()
    with pytest.raises(PeerGone):
        transport.receive()
    with pytest.raises(PeerGone):
        transport.send(b"x" * 1_000_000)


def test_frames_before_the_end_of_file_are_not_lost(
    pair: tuple[Transport, socket.socket],
) -> None:
    transport, theirs = pair
    theirs.sendall(framed(b"last"))
    theirs.close()
    assert transport.receive() == [b"last"]
    with pytest.raises(PeerGone):
        transport.receive()


def test_a_length_beyond_the_limit_is_peer_gone(pair: tuple[Transport, socket.socket]) -> None:
    transport, theirs = pair
    theirs.sendall(struct.pack("<I", MAX_FRAME_BYTES + 1))
    with pytest.raises(PeerGone, match="frame of"):
        transport.receive()


def test_close_wakes_a_waiting_receiver() -> None:
    ours, theirs = socket.socketpair()
    transport, results = Transport(ours), []

    def receive() -> None:
        with pytest.raises(PeerGone):
            transport.receive()
        results.append("woken")

    thread = threading.Thread(target=receive)
    thread.start()
    transport.close()
    thread.join(10)
    theirs.close()
    assert results == ["woken"]
