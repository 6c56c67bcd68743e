"""The messages of a conversation, by role, and as the dicts that a chat template reads.

Templates know the roles system, user, assistant and tool, and text: `developer` becomes system,
the deprecated `function` becomes tool, text parts are joined by a line end, null becomes "".
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from cria.errors import RequestError

ToolName = Annotated[str, Meta(min_length=1)]
MEDIA_PARTS = frozenset("image_url input_audio file video_url".split())
"""Parts that a model for text cannot read."""


class CacheHints(msgspec.Struct, kw_only=True):
    """What OpenAI's and Anthropic's clients say of caching, on a message or on a part."""

    cache_control: dict[str, Any] | None = None
    prompt_cache_breakpoint: dict[str, Any] | None = None


class TextPart(CacheHints, tag_field="type", tag="text"):
    """One part of a content that is a list."""

    text: str


class RefusalPart(CacheHints, tag_field="type", tag="refusal"):
    """An assistant's replayed refusal."""

    refusal: str


class FunctionCall(msgspec.Struct):
    """`arguments` is the JSON text of an object; some clients send the object."""

    name: ToolName
    arguments: str | dict[str, Any] | None = None

    def for_template(self) -> dict[str, Any]:
        return {"name": self.name, "arguments": "" if self.arguments is None else self.arguments}


class CustomCall(msgspec.Struct):
    """Of a tool that takes text. Templates know functions: the text becomes an argument."""

    name: ToolName
    input: str | None = None

    def for_template(self) -> dict[str, Any]:
        return {"name": self.name, "arguments": {"input": self.input or ""}}


class ToolCall(msgspec.Struct):
    """A call that the assistant made in an earlier turn: of a function, if it does not say."""

    type: Literal["function", "custom"] | None = None
    id: str | None = None
    function: FunctionCall | None = None
    custom: CustomCall | None = None

    @property
    def kind(self) -> Literal["function", "custom"]:
        return self.type or "function"

    @property
    def body(self) -> FunctionCall | CustomCall | None:
        """What is called; `conversation.check_calls` sees to it that it is there."""
        return self.custom if self.kind == "custom" else self.function

    def for_template(self) -> dict[str, Any]:
        body = self.body.for_template() if self.body else {}
        return {"id": self.id or "", "type": "function", "function": body}


class _Message(CacheHints, tag_field="role", kw_only=True):
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
    audio: dict[str, Any] | None = None
    annotations: list[Any] | None = None

    def for_template(self) -> dict[str, Any]:
        message = super().for_template()
        message["content"] = message["content"] or self.refusal or ""
        calls = self.tool_calls or []
        if self.function_call and not calls:
            calls = [ToolCall(function=self.function_call)]
        if calls:
            message["tool_calls"] = [call.for_template() for call in calls]
        if self.reasoning_content or self.reasoning:
            message["reasoning_content"] = self.reasoning_content or self.reasoning
        return message


class ToolMessage(_Message, tag="tool", kw_only=True):
    """What a called function returned."""

    TEMPLATE_ROLE: ClassVar[str] = "tool"

    tool_call_id: str
    """Of the call that it answers; `conversation` finds its name."""

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


def media_refusal(messages: object) -> RequestError | None:
    """The error for the first part of a raw conversation that is no text, if there is one."""
    for i, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for j, part in enumerate(content if isinstance(content, list) else ()):
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and kind in MEDIA_PARTS:
                return RequestError(
                    f"Invalid content type: '{kind}'. This model reads text only.",
                    param=f"messages.[{i}].content.[{j}].type",
                    code="unsupported_value",
                )
    return None
