from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.anthropic.chat_request import chat_request
from cria.api.anthropic.request import CountTokensRequest, MessagesRequest
from cria.api.decoding import decode
from cria.errors import RequestError
from tests.api.anthropic.asking import HI, decode_message, refused
from tests.api.requests import JSON_VALUES


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "x"}, "messages", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": None}, "max_tokens", "invalid_type"),
        ({"temperature": 1.5}, "temperature", "decimal_above_max_value"),
        ({"top_p": -1}, "top_p", "decimal_below_min_value"),
        ({"top_k": -1}, "top_k", "integer_below_min_value"),
        ({"stop_sequences": "x"}, "stop_sequences", "invalid_type"),
        ({"stop_sequences": [""]}, "stop_sequences[0]", "empty_string"),
        ({"system": 5}, "system", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens", None),
        ({"thinking": {"type": "odd"}}, "thinking.type", "invalid_value"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort", "invalid_value"),
        ({"output_config": {"format": {"type": "json_schema"}}}, None, None),
        ({"service_tier": "odd"}, "service_tier", "invalid_value"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id", "invalid_type"),
        ({"container": "c"}, "container", "unsupported_parameter"),
        ({"mcp_servers": [{}]}, "mcp_servers", "unsupported_parameter"),
        ({"context_management": {"edits": [{}]}}, "context_management", "unsupported_parameter"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], param: str | None, code: str | None) -> None:
    error = refused(**fields)
    assert param is None or error.param == param
    assert code is None or error.code == code


@pytest.mark.parametrize(
    "fields",
    [
        {"container": None, "mcp_servers": [], "context_management": {}},
        {"context_management": {"edits": []}},
        {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
        {"system": None, "tools": None, "thinking": None, "temperature": None},
        {"temperature": 1, "top_p": 1.0, "top_k": 5.0, "system": "x", "stream": True},
    ],
)
def test_what_asks_for_nothing_is_taken(fields: dict[str, Any]) -> None:
    assert decode_message(**fields)[1] == ()


def test_what_changes_nothing_is_told() -> None:
    fields = {
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
        "cache_control": {"type": "ephemeral"},
        "speed": "fast",
        "thinking": {"type": "between_tools"},
        "odd": 1,
    }
    assert set(decode_message(**fields)[1]) == set(fields)


def test_an_effort_says_nothing_where_nothing_is_thought() -> None:
    fields = {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}
    request, warnings = decode_message(**fields)
    assert (request.effort, warnings) == (None, ("output_config.effort",))
    assert decode_message(output_config={"effort": "low"})[0].effort == "low"


def test_the_older_name_of_the_format() -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    request, _ = decode_message(output_format=wanted)
    assert request.format is not None
    assert (request.format.schema, request.format_field) == ({"type": "object"}, "output_format")
    assert refused(output_format=wanted, output_config={"format": wanted}).param == "output_format"


def test_thinking_can_be_hidden() -> None:
    hidden = {"type": "adaptive", "display": "omitted"}
    assert decode_message(thinking=hidden)[0].hides_thinking
    assert not decode_message(thinking={"type": "enabled", "budget_tokens": 5})[0].hides_thinking
    assert not decode_message()[0].hides_thinking


def test_counting_needs_no_limit() -> None:
    body = json.dumps({"model": "m", "messages": [HI]}).encode()
    assert decode(body, CountTokensRequest)[1] == ()
    assert decode(body[:-1] + b',"max_tokens":5}', CountTokensRequest)[1] == ("max_tokens",)


WORDS = st.sampled_from(
    "text thinking tool_use tool_result image document user assistant system enabled any "
    "server_tool_use custom bash_20250124 json_schema object".split()
)
KEYS = st.sampled_from(
    "type role content text id name input tool_use_id is_error input_schema schema format effort "
    "budget_tokens thinking".split()
)
VALUES = st.recursive(
    JSON_VALUES | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    "messages system tools tool_choice thinking output_config output_format stop_sequences "
    "context_management metadata temperature top_k odd".split()
)


@given(st.dictionaries(FIELDS, VALUES, max_size=3), st.lists(VALUES, max_size=3))
def test_any_body_is_converted_or_refused(fields: dict[str, Any], blocks: list[Any]) -> None:
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": blocks}]}
    try:
        request, _ = decode(json.dumps(body | fields).encode(), MessagesRequest)
        chat_request(request)
    except RequestError as error:
        assert str(error)
