from __future__ import annotations

import gc
import threading

from cria.generation.heartbeats import Heartbeats


class Member:
    def __init__(self) -> None:
        self.pulsed = threading.Event()

    def pulse(self) -> None:
        self.pulsed.set()


def test_members_are_pulsed_again_and_again() -> None:
    heartbeats, member = Heartbeats(0.01), Member()
    heartbeats.add(member)
    for _ in range(3):
        assert member.pulsed.wait(10)
        member.pulsed.clear()
    heartbeats.close()


def test_garbage_is_forgotten() -> None:
    heartbeats = Heartbeats(60)
    heartbeats.add(Member())
    gc.collect()
    assert len(heartbeats._members) == 0
    heartbeats.close()
