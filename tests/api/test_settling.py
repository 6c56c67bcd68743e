from __future__ import annotations

import pytest

from cria.api.chat import ChatCompletionRequest
from cria.api.setting_values import typed_values
from cria.api.settling import Settling
from cria.errors import RequestError
from tests.api.test_field_paths import chat


def values(**fields: object) -> dict[str, object]:
    return typed_values(ChatCompletionRequest, "defaults", fields)


def test_a_default_fills_what_is_left_out() -> None:
    request = chat(top_p=1.0)
    settling = Settling(request)
    settling.fill(values(temperature=0.5, top_p=0.1))
    settling.note()
    assert (request.temperature, request.top_p) == (0.5, 1.0)
    assert request.settled.filled == {"temperature"} and request.settled.overruled == ()


def test_a_default_gives_way_to_other_words_and_contradictions() -> None:
    request = chat(max_completion_tokens=7)
    Settling(request).fill(values(max_tokens=99))
    assert request.token_limit() == 7
    short = chat(max_tokens=3)
    Settling(short).fill(values(min_tokens=5))
    assert short.min_tokens == 0


def test_a_forced_value_replaces_what_was_said() -> None:
    request = chat(temperature=2.0, max_completion_tokens=50)
    settling = Settling(request)
    settling.force(values(temperature=0, max_tokens=5))
    settling.note()
    assert (request.temperature, request.token_limit()) == (0, 5)
    assert set(request.settled.overruled) == {"temperature", "max_completion_tokens"}
    assert request.settled.told(("temperature", "x")) == (*request.settled.overruled, "x")


def test_the_same_value_is_no_overruling() -> None:
    request = chat(temperature=0.0)
    settling = Settling(request)
    settling.force(values(temperature=0))
    settling.note()
    assert request.settled.overruled == ()


def test_forced_values_that_contradict_each_other() -> None:
    with pytest.raises(RequestError):
        Settling(chat()).force(values(max_tokens=3, min_tokens=5))


@pytest.mark.parametrize(("asked", "left"), [(None, 10), (5, 5), (50, 10)])
def test_a_limit_of_tokens(asked: int | None, left: int) -> None:
    request = chat() if asked is None else chat(max_tokens=asked)
    settling = Settling(request)
    settling.limit(10)
    settling.note()
    assert request.token_limit() == left
    assert request.settled.overruled == (("max_tokens",) if asked == 50 else ())


def test_a_limit_lowers_the_least_number_too() -> None:
    request = chat(max_tokens=90, min_tokens=50)
    Settling(request).limit(10)
    assert (request.token_limit(), request.min_tokens) == (10, 10)
