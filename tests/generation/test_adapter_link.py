"""What one engine after another is told."""

from __future__ import annotations

import threading

import pytest

from cria.adapter_set import make_set
from cria.errors import EngineDied, RequestError
from cria.generation.adapter_link import NO_REQUEST, AdapterLink
from cria.ipc.messages import AdapterLoaded, LoadAdapter, Submit, ToEngine, UnloadAdapter
from cria.ipc.transport import PeerGone
from cria.sampling_params import SamplingParams


class Engine:
    """Answers each load at once, from another thread, as `error` says."""

    def __init__(self) -> None:
        self.heard: list[ToEngine] = []
        self.error: str | None = None
        self.is_gone = False
        self.link = AdapterLink(self.send)

    def send(self, message: ToEngine) -> None:
        if self.is_gone:
            raise PeerGone("gone")
        self.heard.append(message)
        if isinstance(message, LoadAdapter):
            answer = AdapterLoaded(message.request_id, self.error)
            threading.Thread(target=self.link.note, args=(answer,)).start()


def test_the_next_engine_hears_of_what_is_there_and_of_what_is_needed() -> None:
    engine = Engine()
    for number in (3, 4, 5):
        engine.link.load(number, f"/{number}")
    engine.link.unload(4)
    engine.link.unload(5)
    engine.heard.clear()
    waiting = Submit(1, [1], SamplingParams(), adapters=make_set({5: 1}))
    engine.link.greet([waiting])
    assert engine.heard == [LoadAdapter(NO_REQUEST, 3, "/3"), LoadAdapter(NO_REQUEST, 5, "/5")]
    engine.link.dismiss()
    assert set(engine.heard[2:]) == {UnloadAdapter(NO_REQUEST, 4), UnloadAdapter(NO_REQUEST, 5)}


def test_what_cannot_be_loaded_is_not_remembered() -> None:
    engine = Engine()
    engine.error = "it is broken"
    with pytest.raises(RequestError, match="it is broken"):
        engine.link.load(1, "/1")
    engine.heard.clear()
    engine.link.greet([])
    assert engine.heard == []


def test_without_an_engine() -> None:
    engine = Engine()
    engine.is_gone = True
    with pytest.raises(EngineDied):
        engine.link.load(1, "/1")
    engine.link.unload(1)


def test_an_end_while_somebody_waits() -> None:
    link: AdapterLink
    link = AdapterLink(lambda _: link.bury())
    with pytest.raises(EngineDied):
        link.load(1, "/1")
