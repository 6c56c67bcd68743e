"""Conversations with tools, as `cria.api` hands them to a template."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Weather?"}


def tool(name: str = "get_weather", **more: Any) -> dict[str, Any]:
    """A function in OpenAI's form; one of its properties has no description."""
    properties = {
        "city": {"type": "string"},
        "days": {"type": "integer", "description": "How many"},
    }
    schema = {"type": "object", "properties": properties, "required": ["city"]}
    function = {"name": name, "description": "The weather of a city.", "parameters": schema}
    return {"type": "function", "function": function | more}


def call(arguments: Any = None, *, id: str = "call_1", name: str = "get_weather") -> dict[str, Any]:
    if arguments is None:
        arguments = {"town": "Tallinn", "count": 3}
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: dict[str, Any], content: str = "", **more: Any) -> Message:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)} | more


def result(content: str = '{"sun": "yes"}', *, id: str = "call_1") -> Message:
    return {"role": "tool", "content": content, "tool_call_id": id}
