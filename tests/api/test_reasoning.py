from __future__ import annotations

from typing import Any

import pytest

from tests.api.requests import decode_chat, refused_chat

OFF = {"enable_thinking": False, "thinking": False}
ON = {"enable_thinking": True, "thinking": True}


@pytest.mark.parametrize(
    ("fields", "kwargs"),
    [
        ({"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
        ({"reasoning_effort": "minimal"}, {"reasoning_effort": "minimal"}),
        ({"reasoning_effort": "none"}, {"reasoning_effort": "none", **OFF}),
        ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"effort": "none"}}, {"reasoning_effort": "none", **OFF}),
        ({"reasoning": {"enabled": True}}, ON),
        ({"reasoning": {"enabled": False}}, OFF),
        (
            {"reasoning": {"enabled": True, "effort": "low"}},
            {"reasoning_effort": "low", **ON},
        ),
        (
            {"reasoning": {"enabled": False}, "reasoning_effort": "none"},
            {"reasoning_effort": "none", **OFF},
        ),
        (
            {"reasoning": {"effort": "low"}, "reasoning_effort": "low"},
            {"reasoning_effort": "low"},
        ),
        ({"reasoning": {}}, {}),
        ({"enable_thinking": True}, ON),
        (
            {"enable_thinking": False, "reasoning_effort": "none"},
            {"reasoning_effort": "none", **OFF},
        ),
        ({"reasoning_budget": 0}, OFF),
        ({"thinking_budget": 0, "reasoning": {"max_tokens": 0}}, OFF),
        ({"thinking_token_budget": 5, "reasoning_budget": 5}, {}),
        ({"thinking_budget": -1}, {}),
        ({"reasoning": {"effort": None, "max_tokens": None, "exclude": False}}, {}),
    ],
)
def test_effort_reaches_the_template(fields: dict[str, Any], kwargs: dict[str, Any]) -> None:
    request, warnings = decode_chat(**fields)
    assert (request.template_kwargs(), warnings) == (kwargs, ())


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        (
            {"reasoning": {"max_tokens": -1}},
            "reasoning.max_tokens",
            "integer_below_min_value",
        ),
        ({"reasoning_budget": -2}, "reasoning_budget", "integer_below_min_value"),
        ({"thinking_budget": 2**31}, "thinking_budget", "integer_above_max_value"),
        ({"thinking_token_budget": "5"}, "thinking_token_budget", "invalid_type"),
        ({"reasoning_format": "deepseek-legacy"}, "reasoning_format", "invalid_value"),
        (
            {"reasoning": {"exclude": True}, "reasoning_format": "none"},
            "reasoning.exclude",
            "invalid_value",
        ),
        (
            {"reasoning_budget": 5, "thinking_budget": 6},
            "thinking_budget",
            "invalid_value",
        ),
        (
            {"reasoning": {"max_tokens": 5}, "reasoning_budget": -1},
            "reasoning_budget",
            "invalid_value",
        ),
        (
            {"reasoning_effort": "low", "thinking_token_budget": 0},
            "thinking_token_budget",
            "invalid_value",
        ),
        (
            {"reasoning_effort": "none", "thinking_budget": 9},
            "thinking_budget",
            "invalid_value",
        ),
        (
            {"reasoning": {"enabled": True}, "enable_thinking": False},
            "enable_thinking",
            "invalid_value",
        ),
        ({"reasoning": {"effort": "x"}}, "reasoning.effort", "invalid_value"),
        ({"reasoning": {"enabled": 1}}, "reasoning.enabled", "invalid_type"),
        ({"reasoning": "high"}, "reasoning", "invalid_type"),
        ({"reasoning_effort": "x"}, "reasoning_effort", "invalid_value"),
        (
            {"reasoning": {"effort": "low"}, "reasoning_effort": "high"},
            "reasoning.effort",
            "invalid_value",
        ),
        (
            {"reasoning": {"enabled": False, "effort": "low"}},
            "reasoning.enabled",
            "invalid_value",
        ),
        (
            {"reasoning": {"enabled": True}, "reasoning_effort": "none"},
            "reasoning.enabled",
            "invalid_value",
        ),
    ],
)
def test_what_cannot_be_honoured_is_named(fields: dict[str, Any], param: str, code: str) -> None:
    error = refused_chat(**fields)
    assert (error.param, error.code) == (param, code)


@pytest.mark.parametrize(
    ("fields", "budget", "path"),
    [
        ({}, None, None),
        ({"reasoning_effort": "high"}, None, None),
        ({"reasoning_effort": "none"}, 0, None),
        ({"enable_thinking": False}, 0, None),
        ({"enable_thinking": True, "reasoning_budget": 7}, 7, "reasoning_budget"),
        ({"reasoning": {"max_tokens": 5}}, 5, "reasoning.max_tokens"),
        ({"reasoning": {"max_tokens": 0}}, 0, None),
        ({"reasoning_budget": -1}, None, None),
        ({"reasoning_budget": -1, "reasoning_effort": "none"}, 0, None),
        ({"thinking_budget": 5}, 5, "thinking_budget"),
        ({"thinking_token_budget": 5}, 5, "thinking_token_budget"),
    ],
)
def test_thinking_has_a_limit(fields: dict[str, Any], budget: int | None, path: str | None) -> None:
    request, warnings = decode_chat(**fields)
    assert (request.thinking_budget, request.budget_path, warnings) == (budget, path, ())


@pytest.mark.parametrize(
    ("fields", "splits", "shows", "splits_inline"),
    [
        ({}, True, True, False),
        ({"reasoning_format": "none"}, False, True, False),
        ({"reasoning_format": "auto"}, True, True, True),
        ({"reasoning_format": "deepseek"}, True, True, True),
        ({"reasoning": {"exclude": True}}, True, False, True),
        ({"reasoning": {"exclude": False}}, True, True, False),
    ],
)
def test_what_is_shown_of_thinking(
    fields: dict[str, Any], splits: bool, shows: bool, splits_inline: bool
) -> None:
    request, warnings = decode_chat(**fields)
    assert (request.splits_thinking, request.shows_thinking, warnings) == (splits, shows, ())
    request.keep_thinking_inline()
    assert request.splits_thinking is splits_inline
