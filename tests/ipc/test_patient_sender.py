from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cria.ipc import patient_sender
from cria.ipc.patient_sender import PatientSender
from cria.ipc.transport import PeerGone, Transport

Pair = tuple[PatientSender, Transport]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pair(clock: Clock) -> Iterator[Pair]:
    ours, theirs = map(Transport, socket.socketpair())
    yield PatientSender(ours, 10, clock), theirs
    ours.close()
    theirs.close()


def test_frames_arrive_in_order_however_late_they_are_read(pair: Pair) -> None:
    sender, reader = pair
    frames = [bytes([n]) * 300_000 for n in range(5)]
    for frame in frames:
        sender.send(frame)
    assert sender.has_more
    read: list[bytes] = []
    while len(read) < len(frames):
        read += reader.receive(block=False)
        sender.flush()
    assert read == frames and not sender.has_more


def test_who_reads_nothing_for_too_long_is_gone(pair: Pair, clock: Clock) -> None:
    sender, reader = pair
    sender.send(bytes(1_000_000))
    clock.now = 10.0
    sender.flush()
    reader.receive(block=False)
    sender.flush()
    clock.now = 20.0
    sender.flush()
    clock.now = 20.1
    with pytest.raises(PeerGone, match="nothing was read for 10 s"):
        sender.flush()


def test_too_much_is_too_much(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_sender, "MAX_KEPT_BYTES", 1000)
    sender, _ = pair
    sender.send(bytes(1_000_000))
    with pytest.raises(PeerGone, match="are unread"):
        sender.send(b"more")


def test_a_closed_end_is_gone(pair: Pair) -> None:
    sender, reader = pair
    reader.close()
    with pytest.raises(PeerGone):
        sender.send(b"x")
