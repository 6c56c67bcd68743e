"""What requests want of the engine, and who asks for it."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable

import pytest

from cria.api.completions import CompletionRequest
from cria.api.decoding import decode
from cria.config import ServerConfig
from cria.errors import EngineUnavailable, QueueFull, RateLimited
from cria.generation.admission import Admission
from cria.generation.caller import Caller, current_caller
from cria.generation.engine_link import Turn
from cria.generation.reception import Reception
from cria.ipc.messages import Ready
from tests.generation.fake_engine import READY


def make(max_queue: int = 4, ready: Callable[[], Ready] = lambda: READY) -> Reception:
    admission = Admission(ServerConfig(max_queue=max_queue, max_queue_tokens=40))
    return Reception(admission, ready, 30.0)


def completion(**fields: object) -> CompletionRequest:
    body = {"model": "m", "prompt": "hi", **fields}
    return decode(json.dumps(body).encode(), CompletionRequest)[0]


def as_caller(caller: Caller, function: Callable[[], object]) -> object:
    def call() -> object:
        current_caller.set(caller)
        return function()

    return contextvars.copy_context().run(call)


def test_choices_and_tokens_are_counted() -> None:
    reception = make()
    # Slots for two; of the other sequences' 3 + 5 tokens each, 40 may wait.
    reception.admit_prompts(completion(n=3, max_tokens=5), [3])
    reception.admit_prompts(completion(n=2, max_tokens=5), [3])
    with pytest.raises(QueueFull):
        reception.admit_prompts(completion(max_tokens=5), [3])


def test_an_answer_is_no_longer_than_the_context() -> None:
    reception = make()
    ticket = reception.admit_prompts(completion(max_tokens=10**6), [3])
    assert ticket._waiting == {0: READY.context_size}


def test_who_names_no_limit_pays_for_the_prompt_first() -> None:
    caller = Caller(5, tokens_per_minute=100)
    reception = make()
    ticket = as_caller(caller, lambda: reception.admit_prompts(completion(max_tokens=-1), [3]))
    assert ticket._num_paid == 3  # type: ignore[attr-defined]
    reception = make()
    ticket = as_caller(
        caller, lambda: reception.admit_prompts(completion(n=2, max_tokens=5), [3, 4])
    )
    assert ticket._num_paid == 3 + 4 + 4 * 5  # type: ignore[attr-defined]


def test_the_caller_is_that_of_the_request() -> None:
    caller = Caller(5, max_concurrent=1)
    reception = make()
    assert as_caller(caller, lambda: reception.turn(-3)) == Turn(-3, 5, 30.0)
    assert reception.turn(0) == Turn(0, 0, 30.0)
    patient = caller._replace(is_patient=True)
    assert as_caller(patient, lambda: reception.turn(0)) == Turn(0, 5, None)
    as_caller(caller, lambda: reception.admit([1], 1))
    with pytest.raises(RateLimited):
        as_caller(caller, reception.check)
    reception.check()


def test_without_an_engine_nobody_comes_in() -> None:
    def ready() -> Ready:
        raise EngineUnavailable("loading")

    reception = make(ready=ready)
    for ask in (reception.check, lambda: reception.admit([1], 1)):
        with pytest.raises(EngineUnavailable):
            ask()
