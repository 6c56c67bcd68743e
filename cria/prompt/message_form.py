"""The form in which a chat template takes messages, and how to bring them into it.

Some templates refuse or drop a system message that is not the first, or any; some print a tool
call's arguments and some walk through them. `probe` finds out with three small conversations.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

Message = dict[str, Any]
TryRender = Callable[[list[Message]], str]
"""The rendered text; nothing if the template refuses."""

_MARK = "cria-probe"
_USER = {"role": "user", "content": "Hello"}
_SYSTEM = {"role": "system", "content": _MARK}


class MessageForm(NamedTuple):
    """What a template takes; by default everything."""

    system_role: Literal["anywhere", "first", "nowhere"] = "anywhere"
    arguments_as_dict: bool = True
    """If not, they stay the JSON text that OpenAI's API has them in."""

    def normalise(self, messages: list[Message]) -> list[Message]:
        """Copies of the messages in this form."""
        messages = [self._with_arguments(message) for message in messages]
        if self.system_role == "first":
            return _system_first(messages)
        return messages if self.system_role == "anywhere" else _system_in_user(messages)

    def _with_arguments(self, message: Message) -> Message:
        if "tool_calls" not in message:
            return message
        convert = _as_dict if self.arguments_as_dict else _as_text
        return message | {"tool_calls": [_convert_call(c, convert) for c in message["tool_calls"]]}


def probe(try_render: TryRender) -> MessageForm:
    """The form that this template takes, most faithful first."""
    return MessageForm(_probe_system_role(try_render), _probe_arguments(try_render))


def _probe_system_role(try_render: TryRender) -> Literal["anywhere", "first", "nowhere"]:
    answer = {"role": "assistant", "content": "Hello"}
    if try_render([_SYSTEM, _SYSTEM, _USER, answer, _SYSTEM, _USER]).count(_MARK) == 3:
        return "anywhere"
    return "first" if _MARK in try_render([_SYSTEM, _USER]) else "nowhere"


def _probe_arguments(try_render: TryRender) -> bool:
    """A dict is taken, and not printed as Python writes it; or text is not taken either."""
    as_dict = try_render(_call_with({_MARK: "x"}))
    if _MARK in as_dict and f"'{_MARK}'" not in as_dict:
        return True
    return _MARK not in try_render(_call_with(json.dumps({_MARK: "x"})))


def _call_with(arguments: object) -> list[Message]:
    call = {"id": "call12345", "type": "function"}
    return [
        _USER,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [call | {"function": {"name": "f", "arguments": arguments}}],
        },
        {"role": "tool", "content": "1", "tool_call_id": "call12345", "name": "f"},
    ]


def _convert_call(call: dict[str, Any], convert: Callable[[Any], Any]) -> dict[str, Any]:
    function = call["function"]
    return call | {"function": function | {"arguments": convert(function["arguments"])}}


def _as_dict(arguments: Any) -> Any:
    """Text that is no JSON object is passed on: it is what the model once wrote."""
    if not isinstance(arguments, str):
        return arguments
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        return arguments
    return value if isinstance(value, dict) else arguments


def _as_text(arguments: Any) -> str:
    # Through a dict even if it is text: `\u003c` in JSON could hide the text of a control token.
    value = _as_dict(arguments)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _split_system(messages: list[Message]) -> tuple[str, list[Message]]:
    system = [message["content"] for message in messages if message["role"] == "system"]
    return "\n\n".join(system), [m for m in messages if m["role"] != "system"]


def _system_first(messages: list[Message]) -> list[Message]:
    system, others = _split_system(messages)
    return [{"role": "system", "content": system}, *others] if system else others


def _system_in_user(messages: list[Message]) -> list[Message]:
    """The instructions in front of the first user message, or as the only one."""
    system, others = _split_system(messages)
    if not system:
        return others
    for index, message in enumerate(others):
        if message["role"] == "user":
            others[index] = message | {"content": f"{system}\n\n{message['content']}"}
            return others
    return [{"role": "user", "content": system}, *others]
