"""Tools for models whose template knows none: calls, results and tools as text of messages.

The words are those that Hermes and Qwen models were trained with, which others understand, too.
"""

from __future__ import annotations

import json
from typing import Any

from cria.formats.tool_format import HERMES, Slot
from cria.prompt.call_form import Message, calls_of

_CALL = "".join(
    {Slot.NAME: "<name of the function>", Slot.ARGUMENTS: "<object with its arguments>"}.get(
        part, ""
    )
    if isinstance(part, Slot)
    else part
    for part in HERMES.call
)

_INSTRUCTIONS = f"""\
# Tools

You can call functions to help with what the user asks. These are their signatures, as JSON:
<tools>
%s
</tools>

To call functions, answer with the name and the arguments of each, as JSON in this form:
{_CALL}
The results come back between <tool_response> and </tool_response>."""


def tools_as_text(messages: list[Message], tools: list[dict[str, Any]] | None) -> list[Message]:
    """The same conversation without tools, calls and results of its own kind."""
    plain: list[Message] = []
    for message in messages:
        if message["role"] != "tool":
            plain.append(_without_calls(message))
        elif plain and plain[-1].get("is_result"):
            plain[-1]["content"] += "\n" + _result(message)
        else:
            plain.append({"role": "user", "content": _result(message), "is_result": True})
    for message in plain:
        message.pop("is_result", None)
    return _instructed(plain, tools) if tools else plain


def _instructed(messages: list[Message], tools: list[dict[str, Any]]) -> list[Message]:
    lines = [json.dumps(tool, ensure_ascii=False) for tool in tools]
    text = _INSTRUCTIONS.replace("%s", "\n".join(lines))
    first = messages[0] if messages else {"role": "user"}
    if first["role"] != "system":
        return [{"role": "system", "content": text}, *messages]
    content = first.get("content") or ""
    return [first | {"content": f"{content}\n\n{text}" if content else text}, *messages[1:]]


def _without_calls(message: Message) -> Message:
    texts = [_call_text(name, arguments) for name, arguments in calls_of(message)]
    kept = {key: value for key, value in message.items() if key != "tool_calls"}
    if not texts:
        return kept
    calls = HERMES.begin + HERMES.between.join(texts) + HERMES.end
    content = message.get("content")
    return kept | {"content": f"{content}\n{calls}" if content else calls}


def _call_text(name: str, arguments: str) -> str:
    # The name stands between quotes: as JSON, without them.
    values = {Slot.NAME: json.dumps(name, ensure_ascii=False)[1:-1], Slot.ARGUMENTS: arguments}
    return "".join(values[part] if isinstance(part, Slot) else part for part in HERMES.call)


def _result(message: Message) -> str:
    return f"<tool_response>\n{message.get('content') or ''}\n</tool_response>"
