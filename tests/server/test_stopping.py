"""The phases follow each other, and none comes back."""

from __future__ import annotations

import threading

import pytest

from cria.server import stopping as module
from cria.server.stopping import INTERRUPT_SECONDS, Phase, Stopping


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Stopping:
    monkeypatch.setattr(module, "TOGETHER_SECONDS", 0.0)
    stopping = Stopping()
    stopping.begin(5, 25)
    return stopping


def test_it_starts_and_serves() -> None:
    stopping = Stopping()
    assert stopping.phase == Phase.STARTING
    stopping.begin(5, 25)
    assert stopping.phase == Phase.SERVING
    assert not stopping.is_draining


def test_the_first_wish_is_a_drain(serving: Stopping) -> None:
    serving.ask()
    serving.wait()
    assert (serving.delay, serving.timeout) == (5, 25)
    assert serving.is_draining and not serving.is_closed
    assert not serving.wait_for_end(0)


def test_an_interrupt_waits_for_no_load_balancer(serving: Stopping) -> None:
    serving.ask(is_interrupt=True)
    assert (serving.delay, serving.timeout) == (0, INTERRUPT_SECONDS)


def test_an_interrupt_is_never_longer() -> None:
    stopping = Stopping()
    stopping.begin(5, 2)
    stopping.ask(is_interrupt=True)
    assert stopping.timeout == 2


@pytest.mark.parametrize("is_interrupt", [True, False])
def test_the_second_wish_means_now(serving: Stopping, is_interrupt: bool) -> None:
    serving.ask()
    serving.ask(is_interrupt=is_interrupt)
    assert serving.phase == Phase.ENDING
    assert serving.wait_for_end(0)


def test_two_that_come_together_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER_SECONDS", 60.0)
    stopping = Stopping()
    stopping.begin(0, 25)
    stopping.ask()
    stopping.ask()
    assert stopping.phase == Phase.DRAINING


def test_a_closed_one_is_not_opened_again(serving: Stopping) -> None:
    serving.ask()
    serving.close()
    serving.begin(5, 25)
    assert serving.is_closed
    serving.end()
    serving.close()
    assert serving.phase == Phase.ENDING


def test_who_waits_hears_of_it(serving: Stopping) -> None:
    heard = threading.Event()
    waiter = threading.Thread(target=lambda: (serving.wait(), heard.set()))
    waiter.start()
    assert not heard.is_set()
    serving.end()
    assert heard.wait(5)
    waiter.join()
