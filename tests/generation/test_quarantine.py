from __future__ import annotations

import msgspec
import pytest

from cria.errors import RequestQuarantined
from cria.generation.quarantine import MAX_SUSPECTS, SECONDS, Quarantine
from cria.ipc.messages import Embed, Submit
from cria.sampling_params import SamplingParams


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def submit(*tokens: int, request_id: int = 0, **params: int) -> Submit:
    return Submit(request_id, list(tokens), SamplingParams(**params))


def test_the_second_death_is_the_end_for_some_time() -> None:
    clock = Clock()
    quarantine = Quarantine(clock)
    quarantine.count(submit(1))
    quarantine.check(submit(1))
    quarantine.count(submit(1, request_id=5))
    with pytest.raises(RequestQuarantined, match="10 minutes"):
        quarantine.check(submit(1, request_id=6))
    quarantine.check(submit(2))
    clock.now = SECONDS
    quarantine.check(submit(1))
    quarantine.count(submit(1))
    quarantine.check(submit(1))


def test_another_seed_is_the_same_request_and_other_parameters_are_not() -> None:
    quarantine = Quarantine(Clock())
    for seed in range(2):
        quarantine.count(submit(1, seed=seed))
    assert quarantine.holds(submit(1, seed=9))
    assert not quarantine.holds(submit(1, max_tokens=3))


def test_embeddings_too() -> None:
    quarantine = Quarantine(Clock())
    for number in range(2):
        quarantine.count(Embed(number, [[1], [2]]))
    assert quarantine.holds(Embed(7, [[1], [2]])) and not quarantine.holds(Embed(7, [[1, 2]]))


def test_an_answer_clears_the_name() -> None:
    quarantine = Quarantine(Clock())
    quarantine.count(submit(1))
    quarantine.clear(submit(1))
    quarantine.count(submit(1))
    quarantine.check(submit(1))


def test_the_table_is_bounded() -> None:
    quarantine = Quarantine(Clock())
    for number in range(MAX_SUSPECTS + 10):
        quarantine.count(submit(number))
    assert len(quarantine._suspects) == MAX_SUSPECTS


def test_what_is_asked_stays_as_it_is() -> None:
    message = submit(1, seed=4)
    Quarantine(Clock()).count(message)
    assert message == msgspec.structs.replace(message)
    assert message.sampling_params.seed == 4
