"""The message object: what the model has said, in blocks, why it stopped and what it took."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from cria.api.events import ChoiceFinished
from cria.api.usage import Usage

SIGNATURE = "cria"
"""Of thinking: clients that send it back want one. It says nothing and is not checked."""

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


class MessageText(msgspec.Struct, tag_field="type", tag="text"):
    """What the model says."""

    text: str = ""


class MessageThinking(msgspec.Struct, tag_field="type", tag="thinking"):
    """What it thought before."""

    thinking: str = ""
    signature: str = SIGNATURE


class MessageToolUse(msgspec.Struct, tag_field="type", tag="tool_use"):
    """What it calls."""

    id: str
    name: str
    input: dict[str, Any] = {}
    """Empty if the call was cut."""


MessageBlock = MessageText | MessageThinking | MessageToolUse


class OutputTokensDetails(msgspec.Struct):
    thinking_tokens: int


class MessageUsage(msgspec.Struct):
    """`input_tokens` without those that the cache held."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    output_tokens_details: OutputTokensDetails | msgspec.UnsetType = msgspec.UNSET


class MessageObject(msgspec.Struct, tag_field="type", tag="message"):
    """The whole answer."""

    id: str
    role: str
    model: str
    content: list[MessageBlock]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessageUsage


class TokenCount(msgspec.Struct):
    """What `input_tokens` and `cache_read_input_tokens` of an answer would come to."""

    input_tokens: int


class MessageHead(msgspec.Struct, frozen=True):
    """What is known before there is an answer."""

    id: str
    model: str
    max_tokens: int
    hides_thinking: bool = False

    def message(
        self,
        usage: Usage,
        content: Iterable[MessageBlock] = (),
        finished: ChoiceFinished | None = None,
    ) -> MessageObject:
        """All of it, or, as long as nothing has finished, its beginning."""
        return MessageObject(
            id=self.id,
            role="assistant",
            model=self.model,
            content=list(content),
            stop_reason=None if finished is None else self.stop_reason(finished, usage),
            stop_sequence=None if finished is None else finished.stop_string,
            usage=message_usage(usage),
        )

    def stop_reason(self, finished: ChoiceFinished, usage: Usage) -> str:
        """An answer that is cut before its limit has filled the context."""
        reason = finished.finish_reason
        if reason == "stop" and finished.stop_string is not None:
            return "stop_sequence"
        if reason == "length" and usage.completion_tokens < self.max_tokens:
            return "model_context_window_exceeded"
        return _STOP_REASONS[reason]


def message_id(run_id: str) -> str:
    """Of the run's own."""
    return f"msg_{run_id.rpartition('-')[2]}"


def tool_use_id(call_id: str) -> str:
    """Of a call's own."""
    return f"toolu_{call_id.removeprefix('call_')}"


def message_usage(usage: Usage) -> MessageUsage:
    """In Anthropic's terms."""
    made = MessageUsage(
        input_tokens=usage.prompt_tokens - usage.cached_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_input_tokens=usage.cached_tokens,
        cache_creation_input_tokens=0,
    )
    if usage.reasoning_tokens:
        made.output_tokens_details = OutputTokensDetails(usage.reasoning_tokens)
    return made


def input_of(arguments: str) -> dict[str, Any]:
    """The object that a call's arguments are; an empty one if they were cut."""
    try:
        found = msgspec.json.decode(arguments)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
