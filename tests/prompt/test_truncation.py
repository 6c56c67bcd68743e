from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from cria.prompt.truncation import drop_oldest, keep_ends, without_oldest

SYSTEM = {"role": "system", "content": "s"}


def chat(*roles: str) -> list[dict[str, object]]:
    """Messages with their numbers as contents."""
    return [{"role": role, "content": str(number)} for number, role in enumerate(roles)]


def contents(messages: list[dict[str, object]]) -> list[object]:
    return [message["content"] for message in messages]


def encode(messages: list[dict[str, object]]) -> list[int]:
    """Ten tokens a message, all with its number."""
    return [int(str(message["content"])) for message in messages for _ in range(10)]


def test_the_middle_goes() -> None:
    assert keep_ends([0, 1, 2, 3, 4, 5], 4, 1) == [0, 3, 4, 5]
    assert keep_ends([0, 1, 2, 3, 4, 5], 4, 0) == [2, 3, 4, 5]
    assert keep_ends([0, 1, 2, 3, 4, 5], 4, 4) == [0, 1, 2, 3]
    assert keep_ends([0, 1], 2, 1) == [0, 1]


@given(st.integers(0, 60), st.integers(1, 60), st.data())
def test_as_many_stay_as_may(length: int, size: int, data: st.DataObject) -> None:
    num_first = data.draw(st.integers(0, size))
    kept = keep_ends(list(range(length)), size, num_first)
    assert len(kept) == min(length, size)
    assert kept == sorted(set(kept))
    assert kept[: min(num_first, length)] == list(range(min(num_first, length)))


def test_system_messages_are_not_dropped() -> None:
    messages = chat("system", "user", "assistant", "system", "user")
    assert contents(without_oldest(messages, 2)) == ["0", "3", "4"]
    assert contents(without_oldest(messages, 0)) == ["0", "1", "2", "3", "4"]


def test_as_few_turns_as_possible_are_dropped_whole() -> None:
    messages = chat("system", "user", "assistant", "user", "assistant", "user")
    short = drop_oldest(messages, encode, 49)
    assert short.token_ids == encode([messages[0], *messages[3:]])
    assert short.num_dropped_messages == 2
    assert drop_oldest(messages, encode, 39).num_dropped_messages == 4


def test_the_last_turn_stays_even_if_it_is_too_long() -> None:
    messages = chat("system", "user", "assistant", "user", "assistant", "tool")
    short = drop_oldest(messages, encode, 5)
    assert short.token_ids == encode([messages[0], *messages[3:]])
    assert short.num_dropped_messages == 2


def test_a_conversation_of_one_turn_stays_as_it_is() -> None:
    for roles in (("user",), ("system", "user", "assistant"), ("assistant", "tool"), ("system",)):
        messages = chat(*roles)
        assert drop_oldest(messages, encode, 1) == (encode(messages), 0)


@given(st.lists(st.sampled_from(["system", "user", "assistant"]), min_size=1), st.integers(1, 300))
def test_what_is_left_fits_or_cannot_be_shorter(roles: list[str], size: int) -> None:
    calls: list[int] = []

    def count(messages: list[dict[str, object]]) -> list[int]:
        calls.append(len(messages))
        return encode(messages)

    messages = chat(*roles)
    short = drop_oldest(messages, count, size)
    left = without_oldest(messages, short.num_dropped_messages)
    assert short.token_ids == encode(left)
    assert len(calls) <= math.ceil(math.log2(len(roles) + 1)) + 1
    others = [message for message in left if message["role"] != "system"]
    if short.num_dropped_messages:
        assert others[0]["role"] == "user", "no answer without its question"
    if len(short.token_ids) > size:
        assert all(message["role"] != "user" for message in others[1:]), "one turn is left"
