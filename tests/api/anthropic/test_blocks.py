from __future__ import annotations

from typing import Any

import pytest

from tests.api.anthropic.asking import HI, decode_message, refused

TEXT = {"type": "text", "text": "a"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
USE = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "1"}


def said(role: str, *blocks: object) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


@pytest.mark.parametrize(
    "message",
    [
        HI,
        said("user", TEXT, RESULT, {**RESULT, "content": [TEXT], "is_error": True}),
        said("user", {**RESULT, "content": None}),
        said("user", {"type": "search_result", "source": "s", "title": "t", "content": [TEXT]}),
        said("assistant", {"type": "thinking", "thinking": "x", "signature": "s"}, TEXT, USE),
        {"role": "system", "content": "x"},
        said("user"),
    ],
)
def test_what_is_taken_without_a_warning(message: object) -> None:
    assert decode_message(messages=[message])[1] == ()


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (said("user", TEXT, IMAGE), "messages[1].content[1]"),
        (said("user", {"type": "document", "source": {}}), "messages[1].content[0]"),
        (said("user", {**RESULT, "content": [TEXT, IMAGE]}), "messages[1].content[0].content[1]"),
        (said("user", USE), "messages[1].content[0]"),
        (said("user", {"type": "thinking", "thinking": "x"}), "messages[1].content[0]"),
        (said("assistant", RESULT), "messages[1].content[0]"),
        (said("system", TEXT, USE), "messages[1].content[1]"),
        (said("user", {"type": "odd"}), "messages[1].content[0].type"),
        (said("user", {"type": "text"}), "messages[1].content[0].text"),
        (said("assistant", {**USE, "input": "{}"}), "messages[1].content[0].input"),
        ({"role": "tool", "content": "x"}, "messages[1].role"),
        ({"role": "user"}, "messages[1].content"),
    ],
)
def test_what_is_refused_is_named(message: object, param: str) -> None:
    assert refused(messages=[HI, message]).param == param


def test_pictures_are_refused_as_such() -> None:
    error = refused(messages=[said("user", IMAGE)])
    assert error.code == "unsupported_value"
    assert "text only" in str(error)


@pytest.mark.parametrize(
    "kind", ["server_tool_use", "web_search_tool_result", "mcp_tool_use", "container_upload"]
)
def test_what_servers_tools_leave_is_dropped_and_told(kind: str) -> None:
    block = {"type": kind, "id": "s", "name": "n", "input": {"q": 1}, "content": [{"x": 1}]}
    assert decode_message(messages=[HI, said("assistant", block, TEXT)])[1] == (
        "messages[1].content[0]",
    )


def test_hints_are_told() -> None:
    hint = {"cache_control": {"type": "ephemeral"}}
    reference = {"type": "tool_reference", "tool_name": "f"}
    messages = [
        said("user", {**TEXT, **hint}, {**RESULT, "content": [{**TEXT, **hint}, reference]}),
        said("assistant", {"type": "redacted_thinking", "data": "x"}, {**TEXT, "citations": []}),
    ]
    assert decode_message(messages=messages, system=[{**TEXT, **hint}])[1] == (
        "system[0].cache_control",
        "messages[0].content[0].cache_control",
        "messages[0].content[1].content[0].cache_control",
        "messages[0].content[1].content[1]",
        "messages[1].content[0]",
        "messages[1].content[1].citations",
    )
