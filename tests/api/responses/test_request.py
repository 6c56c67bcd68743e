"""Every field is honoured, refused or reported."""

from __future__ import annotations

from typing import Any

import pytest

from cria.api.decoding import decode
from cria.api.responses.request import LOGPROBS, InputTokensRequest, ResponsesRequest
from cria.errors import RequestError
from tests.api.responses.making import decoded, made


@pytest.mark.parametrize(
    "name",
    [
        *("max_tokens", "max_completion_tokens", "messages", "response_format", "functions"),
        *("reasoning_effort", "verbosity", "logit_bias", "conversation", "prompt", "moderation"),
        *("context_management", "mcp_servers", "container"),
    ],
)
def test_what_is_refused_is_named(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        made(**{name: [1]})
    assert (caught.value.param, caught.value.code) == (name, "unsupported_parameter")


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1},
        {"context_management": []},
        {"conversation": None},
        {"logprobs": False},
        {"modalities": ["text"]},
    ],
)
def test_what_asks_for_nothing_is_let_through(fields: dict[str, Any]) -> None:
    assert decoded(**fields)[1] == ()


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        ({"user": "u", "prompt_cache_key": "k"}, {"user", "prompt_cache_key"}),
        ({"max_tool_calls": 3}, {"max_tool_calls"}),
        ({"background_options": {"completion_window": "soonest"}}, {"background_options"}),
        ({"top_logprobs": 2}, {"top_logprobs"}),
        ({"top_logprobs": 2, "include": [LOGPROBS]}, set()),
        ({"include": ["file_search_call.results", "new"]}, {"include[0]", "include[1]"}),
        ({"reasoning": {"context": "auto"}}, {"reasoning.context"}),
        ({"reasoning": {"mode": "pro"}}, {"reasoning.mode"}),
        ({"stream_options": {"include_obfuscation": False}}, {"stream_options"}),
        (
            {"stream": True, "stream_options": {"include_usage": True}},
            {"stream_options.include_usage"},
        ),
        ({"prompt_cache_options": {"ttl": "30m", "prewarm": True}}, {"prompt_cache_options"}),
        ({"foo": 1, "text": {"bar": 2}}, {"foo", "text.bar"}),
        ({"metadata": {"a": "b"}, "instructions": "i", "truncation": "auto"}, set()),
        ({"service_tier": "ultrafast", "seed": 1, "stop": "x", "top_k": 3}, set()),
    ],
)  # fmt: skip
def test_what_changes_nothing_is_reported(fields: dict[str, Any], warnings: set[str]) -> None:
    assert set(decoded(**fields)[1]) == warnings


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": []}, "input", "missing_required_parameter"),
        ({"input": 5}, "input", "invalid_type"),
        ({"max_output_tokens": 0}, "max_output_tokens", "integer_below_min_value"),
        ({"max_output_tokens": "5"}, "max_output_tokens", "invalid_type"),
        ({"top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"truncation": "left"}, "truncation", "invalid_value"),
        ({"truncation": "auto", "context_overflow": "shift"}, "max_output_tokens", None),
        (
            {"truncation": "auto", "context_overflow": "truncate_middle"},
            "context_overflow",
            "invalid_value",
        ),
        ({"min_tokens": 9, "max_output_tokens": 3}, "min_tokens", "integer_above_max_value"),
        (
            {"background_options": {"completion_window": "8h"}},
            "background_options.completion_window",
            "invalid_value",
        ),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort", "invalid_value"),
        ({"metadata": {"k": 5}}, "metadata", None),
    ],
)
def test_what_does_not_fit_is_named(fields: dict[str, Any], param: str, code: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        made(**fields)
    assert caught.value.param is not None and caught.value.param.startswith(param)
    assert code is None or caught.value.code == code


def test_input_may_be_empty_with_a_response_before_it() -> None:
    request = made(input="", previous_response_id="resp_1")
    assert (request.items, request.previous_response_id) == ([], "resp_1")


def test_to_be_counted_it_needs_no_model() -> None:
    request, warnings = decode(b'{"input": "hi"}', InputTokensRequest)
    assert (request.model, warnings) == (None, ())
    with pytest.raises(RequestError) as caught:
        decode(b'{"input": "hi"}', ResponsesRequest)
    assert caught.value.param == "model"
