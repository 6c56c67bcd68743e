"""Which wishes contradict each other, on both routes."""

from __future__ import annotations

from typing import Any

import pytest

from cria.api.overflow import OverflowWish
from tests.api.requests import decode_chat, decode_completion, refused_chat, refused_completion


def test_without_a_wish_too_much_is_an_error() -> None:
    for wish in (decode_chat()[0].overflow, decode_completion()[0].overflow):
        assert wish == OverflowWish("error", None, None)
        assert not (wish.cuts or wish.shifts)


@pytest.mark.parametrize(
    "fields",
    [
        {"context_overflow": "error"},
        {"context_overflow": "truncate_left"},
        {"context_overflow": "shift", "max_tokens": 5},
        {"context_overflow": "shift", "max_tokens": 5, "n_keep": -1},
        {"context_overflow": "shift", "max_tokens": 5, "truncate_prompt_tokens": 3},
        {"truncate_prompt_tokens": -1},
        {"truncate_prompt_tokens": 5, "n_keep": 4},
    ],
)
def test_what_makes_sense_is_taken(fields: dict[str, Any]) -> None:
    for request, warnings in (decode_chat(**fields), decode_completion(**fields)):
        wish = OverflowWish(
            fields.get("context_overflow", "error"),
            fields.get("truncate_prompt_tokens"),
            fields.get("n_keep"),
        )
        assert (request.overflow, warnings) == (wish, ())


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"context_overflow": "drop"}, "context_overflow", "invalid_value"),
        ({"context_overflow": 1}, "context_overflow", "invalid_type"),
        ({"truncate_prompt_tokens": "1"}, "truncate_prompt_tokens", "invalid_type"),
        ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens", "invalid_value"),
        ({"truncate_prompt_tokens": -2}, "truncate_prompt_tokens", "integer_below_min_value"),
        (
            {"truncate_prompt_tokens": 5, "context_overflow": "truncate_left"},
            "truncate_prompt_tokens",
            "invalid_value",
        ),
        ({"n_keep": -2}, "n_keep", "integer_below_min_value"),
        ({"n_keep": True}, "n_keep", "invalid_type"),
        ({"n_keep": -1, "context_overflow": "truncate_left"}, "n_keep", "invalid_value"),
        ({"n_keep": -1, "truncate_prompt_tokens": 5}, "n_keep", "invalid_value"),
        ({"n_keep": 5, "truncate_prompt_tokens": 5}, "n_keep", "invalid_value"),
        (
            {"context_overflow": "shift", "max_tokens": -1},
            "max_tokens",
            "missing_required_parameter",
        ),
    ],
)
def test_what_makes_none_is_refused(fields: dict[str, Any], param: str, code: str) -> None:
    for error in (refused_chat(**fields), refused_completion(**fields)):
        assert (error.param, error.code) == (param, code)


def test_a_chat_that_shifts_needs_a_limit_under_either_name() -> None:
    assert refused_chat(context_overflow="shift").param == "max_tokens"
    decode_chat(context_overflow="shift", max_completion_tokens=5)
    decode_completion(context_overflow="shift")


def test_messages_have_no_middle_and_no_first_tokens() -> None:
    error = refused_chat(context_overflow="truncate_middle")
    assert (error.param, error.code) == ("context_overflow", "unsupported_value")
    assert refused_chat(context_overflow="truncate_left", n_keep=3).param == "n_keep"
    decode_chat(context_overflow="truncate_left", n_keep=0)
    decode_completion(context_overflow="truncate_middle", n_keep=3)


def test_keeping_where_nothing_is_cut_is_reported() -> None:
    assert decode_completion(n_keep=3)[1] == ("n_keep",)
    assert decode_chat(n_keep=-1)[1] == ("n_keep",)
    assert decode_chat(n_keep=0)[1] == ()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"context_overflow": "truncate_left"}, "context_overflow"),
        ({"truncate_prompt_tokens": 5}, "truncate_prompt_tokens"),
    ],
)
def test_a_wish_knows_which_field_cuts(fields: dict[str, Any], field: str) -> None:
    assert decode_completion(**fields)[0].overflow.field == field
