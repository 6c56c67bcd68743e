"""A response says again what was asked for."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from cria.api.responses.echo import new_response, shown_by
from cria.api.responses.encoder import Shown
from cria.api.responses.request import ENCRYPTED, LOGPROBS
from tests.api.responses.making import made

F = {"type": "function", "name": "f", "description": "d"}


def echoed(is_stored: bool = True, tier: str | None = None, **fields: Any) -> dict[str, Any]:
    response = new_response(made(**fields), "served", tier, is_stored=is_stored)
    found: dict[str, Any] = msgspec.to_builtins(response)
    return found


def test_the_defaults() -> None:
    made_now = echoed()
    assert made_now["id"].startswith("resp_")
    assert abs(made_now["created_at"] - time.time()) < 60
    expected = {
        "status": "in_progress", "background": False, "model": "served", "metadata": {},
        "instructions": None, "max_output_tokens": None, "parallel_tool_calls": True,
        "previous_response_id": None, "reasoning": {"effort": None, "summary": None},
        "service_tier": "default", "store": True, "temperature": 1.0, "tool_choice": "none",
        "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tools": [],
        "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "usage": None, "output": [],
    }  # fmt: skip
    assert expected.items() <= made_now.items()


def test_what_was_said_is_said_again() -> None:
    fields = {
        "instructions": "i", "max_output_tokens": 5, "metadata": {"a": "b"}, "temperature": 0.5,
        "previous_response_id": "resp_0", "top_logprobs": 2, "truncation": "auto", "user": "u",
        "parallel_tool_calls": False, "prompt_cache_key": "k", "safety_identifier": "s",
        "tool_choice": {"type": "function", "name": "f"}, "max_tool_calls": 2, "top_p": 0.5,
    }  # fmt: skip
    found = echoed(is_stored=False, tier="priority", background=True, tools=[F], **fields)
    assert fields.items() <= found.items()
    assert (found["store"], found["service_tier"], found["status"]) == (False, "priority", "queued")
    assert found["background"] is True


def test_tools_have_the_keys_that_clients_read() -> None:
    space = {"type": "namespace", "name": "n", "tools": [{**F, "name": "g", "strict": False}]}
    found = echoed(tools=[F, {"type": "custom", "name": "c"}, space])
    full = {**F, "parameters": {}, "strict": True}
    assert found["tools"] == [
        full,
        {"type": "custom", "name": "c"},
        {**space, "tools": [{**full, "name": "g", "strict": False}]},
    ]
    assert found["tool_choice"] == "auto"


def test_the_format_is_echoed_as_it_was_sent() -> None:
    wanted = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    assert echoed(text={"format": wanted, "verbosity": "low"})["text"] == {
        "format": wanted,
        "verbosity": "low",
    }


def test_what_the_answer_shows() -> None:
    assert shown_by(made()) == Shown()
    space = {"type": "namespace", "name": "n", "tools": [F]}
    request = made(include=[LOGPROBS, ENCRYPTED], reasoning={"summary": "auto"}, tools=[space])
    assert shown_by(request) == Shown(True, True, True, {"f": "n"})
