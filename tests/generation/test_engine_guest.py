from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
import pytest

from cria.errors import EngineDied
from cria.generation import engine_guest
from cria.generation.death import Death
from cria.generation.engine_guest import EngineGuest, clear_away
from cria.ipc.messages import EngineStats, SequenceOutput, StepOutput, Submit
from cria.ipc.rendezvous import Rendezvous
from cria.ipc.transport import Transport
from cria.sampling_params import SamplingParams
from tests.generation.fake_engine import READY
from tests.generation.link_engine import Heard, LinkEngine, Outputs
from tests.real_server import wait_for

PARAMS = SamplingParams()


@pytest.fixture
def rendezvous() -> Iterator[Rendezvous]:
    rendezvous = Rendezvous()
    yield rendezvous
    rendezvous.close()


@pytest.fixture
def guest(rendezvous: Rendezvous) -> Iterator[EngineGuest]:
    guest = EngineGuest(rendezvous.address)
    guest.start()
    yield guest
    guest.close()


def next_engine(rendezvous: Rendezvous) -> LinkEngine:
    return LinkEngine(Transport(rendezvous.listener.accept()[0]))


def wait_for_state(guest: EngineGuest, state: str) -> None:
    wait_for(lambda: guest.status.state, lambda now: now == state, state)


def test_it_is_loading_until_an_engine_greets_it(
    guest: EngineGuest, rendezvous: Rendezvous
) -> None:
    engine = next_engine(rendezvous)
    assert guest.status.state == "loading"
    engine.tell(READY)
    wait_for_state(guest, "ready")
    request_id = guest.submit([1], PARAMS, lambda _: None)
    assert engine.next() == Submit(request_id, [1], PARAMS)
    engine.transport.close()


def test_an_engine_that_ends_fails_its_requests_and_the_next_one_is_found(
    guest: EngineGuest, rendezvous: Rendezvous
) -> None:
    engine = next_engine(rendezvous)
    engine.tell(READY)
    wait_for_state(guest, "ready")
    outputs: Outputs = Heard()
    request_id = guest.submit([1], PARAMS, outputs.put)
    engine.tell(StepOutput([], EngineStats(), [request_id], [5]))
    assert isinstance(outputs.get(timeout=30), SequenceOutput)
    engine.transport.close()
    rendezvous.leave_note(msgspec.json.encode((0, Death("was ended by SIGABRT"))))
    error = outputs.get(timeout=30)
    assert isinstance(error, EngineDied) and "was ended by SIGABRT" in str(error)
    wait_for_state(guest, "loading")
    second = next_engine(rendezvous)
    second.tell(READY)
    wait_for_state(guest, "ready")
    assert guest.status.restarts == 1
    second.transport.close()


def test_an_engine_that_lets_go_of_a_slow_guest_is_not_blamed(
    guest: EngineGuest, rendezvous: Rendezvous, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_guest, "NOTE_SECONDS", 0.2)
    engine = next_engine(rendezvous)
    engine.tell(READY)
    wait_for_state(guest, "ready")
    request_id = guest.submit([1], PARAMS, lambda _: None)
    engine.transport.close()
    again = next_engine(rendezvous)
    again.tell(READY)
    assert again.next() == Submit(request_id, [1], PARAMS)
    again.transport.close()


def test_without_anybody_at_the_address_it_keeps_trying(rendezvous: Rendezvous) -> None:
    guest = EngineGuest(rendezvous.address + "-elsewhere")
    guest.start()
    os.rename(rendezvous.address, rendezvous.address + "-elsewhere")
    engine = next_engine(rendezvous)
    engine.tell(READY)
    wait_for_state(guest, "ready")
    guest.close()
    engine.transport.close()
    os.rename(rendezvous.address + "-elsewhere", rendezvous.address)


def test_it_can_be_closed_while_it_waits_for_an_engine(guest: EngineGuest) -> None:
    guest.close()
    assert not guest._thread.is_alive()


def test_clearing_away_what_a_killed_process_left(rendezvous: Rendezvous) -> None:
    clear_away(rendezvous.address)
    assert not os.path.exists(os.path.dirname(rendezvous.address))
