from __future__ import annotations

from typing import Any

import pytest

from cria.api.extras import Truncated
from cria.errors import RequestError
from cria.generation.overflow import Overflow, Prompt
from tests.api.requests import decode_chat, decode_completion

BEGIN = 99
CONTEXT = 40


def overflow(begin_id: int | None = None, **fields: Any) -> Overflow:
    return Overflow(decode_completion(**fields)[0], CONTEXT, begin_id)


def chat_overflow(**fields: Any) -> Overflow:
    return Overflow(decode_chat(**fields)[0], CONTEXT)


def numbers(size: int) -> list[int]:
    return list(range(size))


@pytest.mark.parametrize(("limit", "size"), [(1, 39), (7, 33), (10, 30), (11, 30), (-1, 30)])
def test_room_for_the_answer_but_a_quarter_at_most(limit: int, size: int) -> None:
    policy = overflow(context_overflow="truncate_left", max_tokens=limit)
    assert policy.size == size
    assert policy.fit(numbers(size)) == Prompt(numbers(size), size)
    assert policy.fit(numbers(50)) == Prompt(numbers(50)[-size:], 50)


def test_an_error_leaves_the_prompt_as_it_is() -> None:
    assert overflow().fit(numbers(50)) == Prompt(numbers(50), 50)
    assert overflow().report([Prompt(numbers(50), 50)]) is None


def test_the_middle_of_a_prompt() -> None:
    policy = overflow(context_overflow="truncate_middle")
    assert policy.fit(numbers(50)).token_ids == [*range(15), *range(35, 50)]
    policy = overflow(context_overflow="truncate_middle", n_keep=20)
    assert policy.fit(numbers(50)).token_ids == [*range(20), *range(40, 50)]


def test_the_first_tokens_stay() -> None:
    policy = overflow(context_overflow="truncate_left", n_keep=3)
    assert policy.fit(numbers(50)).token_ids == [0, 1, 2, *range(23, 50)]


def test_the_token_that_begins_a_sequence_stays_too() -> None:
    prompt = [BEGIN, *range(49)]
    assert overflow(BEGIN, context_overflow="truncate_left").fit(prompt).token_ids == [
        BEGIN,
        *range(20, 49),
    ]
    kept = overflow(BEGIN, truncate_prompt_tokens=5, n_keep=2).fit(prompt).token_ids
    assert kept == [BEGIN, 0, 1, 47, 48]
    assert overflow(BEGIN, truncate_prompt_tokens=1).fit(prompt).token_ids == [48]
    assert overflow(BEGIN, truncate_prompt_tokens=2).fit(numbers(9)).token_ids == [7, 8]


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"context_overflow": "truncate_left", "n_keep": 30}, 30),
        ({"truncate_prompt_tokens": 5, "n_keep": 4}, 5),
    ],
)
def test_keeping_all_that_fits_is_refused(fields: dict[str, int], most: int) -> None:
    with pytest.raises(RequestError, match=f"room for {most}") as caught:
        overflow(BEGIN, **fields).fit([BEGIN, *range(49)])
    assert caught.value.param == "n_keep"


def test_a_number_of_tokens() -> None:
    assert overflow(truncate_prompt_tokens=3).fit(numbers(9)) == Prompt([6, 7, 8], 9)
    assert overflow(truncate_prompt_tokens=-1).fit(numbers(50)).token_ids == numbers(50)[-30:]
    assert len(overflow(truncate_prompt_tokens=100).fit(numbers(70)).token_ids) == 70


def test_what_stays_when_the_context_shifts() -> None:
    shifting = {"context_overflow": "shift", "max_tokens": 500}
    assert overflow(**shifting).num_kept(numbers(9)) == 0
    assert overflow(BEGIN, **shifting).num_kept([BEGIN, 1]) == 1
    assert overflow(BEGIN, **shifting).num_kept([5, 1]) == 0
    assert overflow(BEGIN, **shifting, n_keep=4).num_kept([BEGIN, 1]) == 5
    assert overflow(**shifting, n_keep=-1).num_kept(numbers(9)) == 9
    assert overflow(**shifting, n_keep=30).num_kept(numbers(9)) == 30
    assert overflow(context_overflow="truncate_left").num_kept(numbers(9)) is None
    for n_keep in (31, -1):
        with pytest.raises(RequestError, match="room for 30") as caught:
            overflow(**shifting, n_keep=n_keep).num_kept(numbers(35))
        assert caught.value.param == "n_keep"


def encode(messages: list[dict[str, Any]]) -> list[int]:
    """A token for each character, and two around each message."""
    return [token for m in messages for token in (-1, *map(ord, m["content"]), -2)]


def messages(*lengths: int) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": "x" * size} for i, size in enumerate(lengths)]


def test_a_conversation_loses_its_oldest_turn() -> None:
    policy = chat_overflow(context_overflow="truncate_left")
    prompt = policy.fit_chat(messages(8, 8, 8, 8, 8), encode)
    assert prompt == Prompt(encode(messages(8, 8, 8)), 50, 2)
    assert policy.fit_chat(messages(8, 8, 8), encode) == Prompt(encode(messages(8, 8, 8)), 30)


def test_a_conversation_without_policy_is_not_touched() -> None:
    assert chat_overflow().fit_chat(messages(60), encode) == Prompt(encode(messages(60)), 62)


def test_a_number_of_tokens_cuts_into_the_template() -> None:
    policy = chat_overflow(truncate_prompt_tokens=4)
    assert policy.fit_chat(messages(8), encode).token_ids == [120, 120, 120, -2]


def test_the_report_is_of_all_prompts() -> None:
    policy = overflow(context_overflow="truncate_left")
    prompts = [policy.fit(numbers(50)), policy.fit(numbers(5))]
    assert policy.report(prompts) == Truncated("truncate_left", 55, 35)
    assert policy.warnings(prompts) == ("context_overflow",)
    assert policy.warnings(prompts[1:]) == ()


@pytest.mark.parametrize(
    ("fields", "policy"),
    [
        ({"truncate_prompt_tokens": 3}, "truncate_prompt_tokens"),
        ({"truncate_prompt_tokens": 3, "context_overflow": "shift"}, "shift"),
    ],
)
def test_the_report_names_the_policy(fields: dict[str, Any], policy: str) -> None:
    made = overflow(**fields)
    prompts = [made.fit(numbers(5))]
    assert made.report(prompts) == Truncated(policy, 5, 3)
    assert made.warnings(prompts) == ("truncate_prompt_tokens",)


def test_a_conversation_reports_how_many_messages_went() -> None:
    policy = chat_overflow(context_overflow="truncate_left")
    prompt = policy.fit_chat(messages(8, 8, 8, 8, 8), encode)
    assert policy.report([prompt]) == Truncated("truncate_left", 50, 30, dropped_messages=2)
