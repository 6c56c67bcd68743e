from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from cria.api.completions import CompletionRequest
from cria.api.violations import request_error, shown
from tests.api.requests import USER, refused_chat, refused_completion


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"temperature": "1"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"temperature": 3}, "temperature", "decimal_above_max_value"),
        ({"temperature": 10**30}, "temperature", "decimal_above_max_value"),
        ({"temperature": -1}, "temperature", "decimal_below_min_value"),
        ({"top_p": 1.5}, "top_p", "decimal_above_max_value"),
        ({"presence_penalty": -2.1}, "presence_penalty", "decimal_below_min_value"),
        ({"repeat_penalty": 0}, "repeat_penalty", "decimal_below_min_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 129}, "n", "integer_above_max_value"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"n": True}, "n", "invalid_type"),
        ({"n": "1"}, "n", "invalid_type"),
        ({"n": [1]}, "n", "invalid_type"),
        ({"max_tokens": 2**31}, "max_tokens", "integer_above_max_value"),
        ({"max_tokens": 2**63}, "max_tokens", "integer_above_max_value"),
        ({"max_tokens": 2**70}, "max_tokens", "integer_above_max_value"),
        ({"max_tokens": -2}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_completion_tokens": 0}, "max_completion_tokens", "integer_below_min_value"),
        ({"top_k": 2**40}, "top_k", "integer_above_max_value"),
        ({"seed": 2**63}, "seed", "integer_above_max_value"),
        ({"seed": -(2**70)}, "seed", "integer_below_min_value"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"stop": ""}, "stop", "empty_string"),
        ({"stop": ["a", ""]}, "stop[1]", "empty_string"),
        ({"stop": ["a"] * 17}, "stop", "array_above_max_length"),
        ({"stop": 5}, "stop", "invalid_type"),
        ({"logit_bias": {"abc": 1}}, "logit_bias", "invalid_type"),
        ({"logit_bias": {"5.5": 1}}, "logit_bias", "invalid_type"),
        ({"logit_bias": {"-5": 1}}, "logit_bias", "integer_below_min_value"),
        ({"logit_bias": {"5": 101}}, "logit_bias", "decimal_above_max_value"),
        (
            {"logit_bias": {str(i): 1 for i in range(1025)}},
            "logit_bias",
            "object_above_max_properties",
        ),
        ({"metadata": {"k": "v" * 513}}, "metadata", "string_above_max_length"),
        ({"metadata": {str(i): "v" for i in range(17)}}, "metadata", "object_above_max_properties"),
        ({"reasoning_effort": "x"}, "reasoning_effort", "invalid_value"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "x"}, "messages", "invalid_type"),
        ({"messages": None}, "messages", "invalid_type"),
        ({"messages": [5]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "a\r\nb", "content": "x"}]}, "messages[0].role", "invalid_value"),
        (
            {"messages": [USER, {"role": "user", "content": 5}]},
            "messages[1].content",
            "invalid_type",
        ),
        (
            {"messages": [{"role": "user", "content": [image("data:")]}]},
            "messages.[0].content.[0].type",
            "unsupported_value",
        ),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "messages[0].tool_call_id",
            "missing_required_parameter",
        ),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
def test_each_mistake_has_its_code_and_path(fields: dict[str, Any], param: str, code: str) -> None:
    error = refused_chat(**fields)
    assert (error.param, error.code) == (param, code)
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"n": 0},
            "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
        (
            {"temperature": "1"},
            "Invalid type for 'temperature': expected a decimal, but got a string instead.",
        ),
        ({"logit_bias": {"5": 101}}, "Expected a value <= 100.0."),
        ({"logit_bias": {"x": 1}}, "Invalid type for a key of 'logit_bias': expected an integer"),
        ({"stop": 5}, "expected a string or an array, but got an integer"),
        (
            {"verbosity": "x" * 99},
            f"'{'x' * 59}.... Supported values are: 'high', 'low', 'medium'.",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "poem"}]}]},
            "'poem'. Supported values are: 'text'.",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "poem"}]}]},
            "'poem'. Supported values are: 'text', 'refusal'.",
        ),
        (
            {"messages": [{"role": "poet", "content": []}]},
            "'poet'. Supported values are: 'developer', 'system', 'user', 'assistant', 'tool', ",
        ),
        (
            {"messages": [{"role": "user", "content": [image("")]}]},
            "Invalid content type: 'image_url'. This model reads text only.",
        ),
    ],
)
def test_sentences_say_what_was_wrong_and_what_is_allowed(
    fields: dict[str, Any], sentence: str
) -> None:
    assert sentence in str(refused_chat(**fields))


def test_a_missing_field_is_named() -> None:
    error = refused_completion(model=None)
    assert (error.param, error.code) == ("model", "invalid_type")
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"model": "m"}, CompletionRequest)
    error = request_error(str(caught.value), {"model": "m"}, CompletionRequest)
    assert (error.param, error.code) == ("prompt", "missing_required_parameter")
    assert str(error) == "Missing required parameter: 'prompt'."


def test_a_message_that_the_table_does_not_know_is_passed_on() -> None:
    error = request_error("Something new - at `$.n`", {"n": 1}, CompletionRequest)
    assert str(error) == "Invalid 'n': Something new."
    assert (error.param, error.code) == ("n", "invalid_value")


@pytest.mark.parametrize("path", ["$.x", "$.x[0]", "$.prompt[5]", "$.n.deep"])
def test_a_path_that_leads_nowhere_does_no_harm(path: str) -> None:
    error = request_error(f"Expected `int` >= 1 - at `{path}`", {"n": 1}, CompletionRequest)
    assert "instead" not in str(error)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        ("a", "'a'"),
        ([1], "an array"),
        ({}, "an object"),
        ("x" * 99, "'" + "x" * 59 + "..."),
    ],
)
def test_values_are_shown_short(value: object, text: str) -> None:
    assert shown(value) == text
