"""Tool calls and their results in the forms that chat templates take."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

Message = dict[str, Any]

_ID_LENGTH = 9
"""Of the ids that Mistral's models know: letters and digits."""


def uses_tools(messages: list[Message]) -> bool:
    """Whether there may be calls or results among them."""
    return any(m["role"] == "tool" or "tool_calls" in m for m in messages)


def with_matched_results(messages: list[Message]) -> list[Message]:
    """Every call with an id, every result with its call's id and name, as far as there is one."""
    open_calls: dict[str, str] = {}
    number = 0
    matched = []
    for message in messages:
        if message.get("tool_calls"):
            calls = []
            for call in message["tool_calls"]:
                number += 1
                calls.append(call | {"id": call.get("id") or f"call{number:05d}"})
            message = message | {"tool_calls": calls}
            open_calls |= {call["id"]: call["function"].get("name", "") for call in calls}
        elif message["role"] == "tool":
            message = _matched(message, open_calls)
        matched.append(message)
    return matched


def _matched(result: Message, open_calls: dict[str, str]) -> Message:
    """A result without an id belongs to the first open call of its name, or of any."""
    name = result.get("name")
    call_id = result.get("tool_call_id")
    if not call_id:
        same = (i for i, called in open_calls.items() if name in (None, called))
        call_id = next(same, "")
    called = open_calls.pop(call_id, None)
    return result | {"tool_call_id": call_id} | ({"name": called} if called and not name else {})


def with_short_ids(messages: list[Message]) -> list[Message]:
    """Nine letters and digits for every id, the same for a call and its result."""
    short = []
    for message in messages:
        if message.get("tool_calls"):
            calls = [call | {"id": _short_id(call["id"])} for call in message["tool_calls"]]
            message = message | {"tool_calls": calls}
        if message.get("tool_call_id"):
            message = message | {"tool_call_id": _short_id(message["tool_call_id"])}
        short.append(message)
    return short


def _short_id(call_id: str) -> str:
    if len(call_id) == _ID_LENGTH and call_id.isascii() and call_id.isalnum():
        return call_id
    return hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:_ID_LENGTH]


def with_separate_content(messages: list[Message]) -> list[Message]:
    """What is said beside calls as a message of its own before them."""
    separate = []
    for message in messages:
        if message.get("tool_calls") and message.get("content"):
            separate.append({k: v for k, v in message.items() if k != "tool_calls"})
            message = _bare(message) | {"tool_calls": message["tool_calls"]}
        separate.append(message)
    return separate


def with_single_calls(messages: list[Message]) -> list[Message]:
    """A message for each call, its result behind it, for templates that know one call a turn."""
    results = {m["tool_call_id"]: m for m in messages if m["role"] == "tool"}
    moved: set[str] = set()
    single = []
    for message in messages:
        calls = message.get("tool_calls") or []
        if len(calls) < 2:
            if message.get("tool_call_id") not in moved:
                single.append(message)
            continue
        for number, call in enumerate(calls):
            single.append((message if number == 0 else _bare(message)) | {"tool_calls": [call]})
            if call["id"] in results and call["id"] not in moved:
                moved.add(call["id"])
                single.append(results[call["id"]])
    return single


def _bare(message: Message) -> Message:
    return {"role": message["role"], "content": ""}


def with_arguments(messages: list[Message], *, as_dict: bool) -> list[Message]:
    """The arguments of all calls as objects, or as JSON text."""
    convert = as_object if as_dict else as_text
    return [
        message | {"tool_calls": [_convert(call, convert) for call in message["tool_calls"]]}
        if message.get("tool_calls")
        else message
        for message in messages
    ]


def _convert(call: dict[str, Any], convert: Callable[[Any], Any]) -> dict[str, Any]:
    function = call["function"]
    return call | {"function": function | {"arguments": convert(function.get("arguments"))}}


def as_object(arguments: Any) -> Any:
    """Text that is no JSON object is passed on: it is what the model once wrote."""
    if arguments is None:
        return {}
    if not isinstance(arguments, str):
        return arguments
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        return arguments
    if "\\ud" in arguments.lower():
        value = _without_half_pairs(value)
    return value if isinstance(value, dict) else arguments


def _without_half_pairs(value: Any) -> Any:
    """JSON can escape half of a surrogate pair, which no prompt can hold."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-8", "replace"))


def as_text(arguments: Any) -> str:
    """JSON text, also of text: `\\u003c` in JSON could hide the text of a control token."""
    value = as_object(arguments)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def with_descriptions(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A description, if an empty one, for every property of every tool."""
    return [_described(tool) for tool in tools]


def _described(value: Any) -> Any:
    if isinstance(value, list):
        return [_described(item) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {key: _described(item) for key, item in value.items()}
    properties = copy.get("properties")
    if isinstance(properties, dict):
        copy["properties"] = {key: _with_description(p) for key, p in properties.items()}
    return copy


def _with_description(schema: Any) -> Any:
    return {"description": ""} | schema if isinstance(schema, dict) else schema


def calls_of(message: Message) -> Iterator[tuple[str, str]]:
    """Names and arguments, as JSON text, of a message's calls."""
    for call in message.get("tool_calls") or []:
        function = call["function"]
        yield function.get("name", ""), as_text(function.get("arguments"))
