"""The messages of a conversation, by role, and as the dicts that a chat template reads.

Templates know the roles system, user, assistant and tool, and text: `developer` becomes system,
the deprecated `function` becomes tool, text parts are joined by a line end, null becomes "".
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class TextPart(msgspec.Struct, tag_field="type", tag="text"):
    """One part of a content that is a list."""

    text: str


class RefusalPart(msgspec.Struct, tag_field="type", tag="refusal"):
    """An assistant's replayed refusal."""

    refusal: str


class FunctionCall(msgspec.Struct):
    """`arguments` is the JSON text of an object; some clients send the object."""

    name: str
    arguments: str | dict[str, Any] = ""

    def for_template(self) -> dict[str, Any]:
        return {"name": self.name, "arguments": self.arguments}


class ToolCall(msgspec.Struct, tag_field="type", tag="function"):
    """A call that the assistant made in an earlier turn."""

    function: FunctionCall
    id: str = ""

    def for_template(self) -> dict[str, Any]:
        return {"id": self.id, "type": "function", "function": self.function.for_template()}


class _Message(msgspec.Struct, tag_field="role", kw_only=True):
    """What every message has."""

    TEMPLATE_ROLE: ClassVar[str]

    content: str | list[TextPart] | None
    name: str | None = None

    def for_template(self) -> dict[str, Any]:
        message = {"role": self.TEMPLATE_ROLE, "content": _text_of(self.content)}
        return message | ({"name": self.name} if self.name else {})


class DeveloperMessage(_Message, tag="developer", kw_only=True):
    """Instructions, by their newer name."""

    TEMPLATE_ROLE: ClassVar[str] = "system"


class SystemMessage(_Message, tag="system", kw_only=True):
    """Instructions."""

    TEMPLATE_ROLE: ClassVar[str] = "system"


class UserMessage(_Message, tag="user", kw_only=True):
    """What the model shall answer."""

    TEMPLATE_ROLE: ClassVar[str] = "user"


class AssistantMessage(_Message, tag="assistant", kw_only=True):
    """What the model answered before."""

    TEMPLATE_ROLE: ClassVar[str] = "assistant"

    content: str | list[TextPart | RefusalPart] | None = None  # type: ignore[assignment]  # wider
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None

    def for_template(self) -> dict[str, Any]:
        message = super().for_template()
        message["content"] = message["content"] or self.refusal or ""
        calls = self.tool_calls or []
        if self.function_call and not calls:
            calls = [ToolCall(self.function_call)]
        if calls:
            message["tool_calls"] = [call.for_template() for call in calls]
        if self.reasoning_content or self.reasoning:
            message["reasoning_content"] = self.reasoning_content or self.reasoning
        return message


class ToolMessage(_Message, tag="tool", kw_only=True):
    """What a called function returned."""

    TEMPLATE_ROLE: ClassVar[str] = "tool"

    tool_call_id: str

    def for_template(self) -> dict[str, Any]:
        return super().for_template() | {"tool_call_id": self.tool_call_id}


class FunctionMessage(_Message, tag="function", kw_only=True):
    """The same, in the older form: `name` says which function."""

    TEMPLATE_ROLE: ClassVar[str] = "tool"

    content: str | None
    name: str


Message = (
    DeveloperMessage
    | SystemMessage
    | UserMessage
    | AssistantMessage
    | ToolMessage
    | FunctionMessage
)


def _text_of(content: str | list[TextPart] | list[TextPart | RefusalPart] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(p.text if isinstance(p, TextPart) else p.refusal for p in content)
