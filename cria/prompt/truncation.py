"""Make a prompt shorter: token ids lose their middle, conversations their oldest turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Message = dict[str, Any]


class ShortChat(NamedTuple):
    """What is left of a conversation."""

    token_ids: list[int]
    num_dropped_messages: int


def keep_ends(token_ids: list[int], size: int, num_first: int) -> list[int]:
    """The first `num_first` of the tokens, and of the others the last ones; `size` in all."""
    if len(token_ids) <= size:
        return token_ids
    return token_ids[:num_first] + token_ids[len(token_ids) - (size - num_first) :]


def drop_oldest(
    messages: Sequence[Message], encode: Callable[[list[Message]], list[int]], size: int
) -> ShortChat:
    """Drop as few of the oldest turns as let the encoded rest have `size` tokens.

    System messages stay, and so does the last turn: if that alone is longer, it is returned. A
    turn begins with a user's message, so that no answer stays without its question. Encodes
    `log2(turns)` times.
    """
    counts = [0, *_turn_starts(messages)]
    short = None
    low, high = 1, len(counts)
    while low < high:
        middle = (low + high) // 2
        token_ids = encode(without_oldest(messages, counts[middle]))
        if len(token_ids) <= size:
            short, high = ShortChat(token_ids, counts[middle]), middle
        else:
            low = middle + 1
    return short or ShortChat(encode(without_oldest(messages, counts[-1])), counts[-1])


def without_oldest(messages: Sequence[Message], count: int) -> list[Message]:
    """Without the first `count` messages that are not the system's."""
    left = []
    for message in messages:
        if message["role"] == "system" or count == 0:
            left.append(message)
        else:
            count -= 1
    return left


def _turn_starts(messages: Sequence[Message]) -> list[int]:
    """How many messages that are not the system's come before each user's, but for the first."""
    roles = [message["role"] for message in messages if message["role"] != "system"]
    return [index for index, role in enumerate(roles) if role == "user" and index]
