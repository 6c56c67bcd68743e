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
        ({"reasoning": {"effort": None, "max_tokens": None, "exclude": False}}, {}),
    ],
)
def test_effort_reaches_the_template(fields: dict[str, Any], kwargs: dict[str, Any]) -> None:
    request, warnings = decode_chat(**fields)
    assert (request.template_kwargs(), warnings) == (kwargs, ())


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"reasoning": {"max_tokens": 5}}, "reasoning.max_tokens", "unsupported_parameter"),
        ({"reasoning": {"exclude": True}}, "reasoning.exclude", "unsupported_parameter"),
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
