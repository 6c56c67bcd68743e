"""What the messages of a conversation owe each other and know of each other.

OpenAI refuses a conversation whose tool calls and results do not match. Chat templates seldom
look, so that only strict mode does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cria.api.messages import (
    AssistantMessage,
    DeveloperMessage,
    Message,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from cria.errors import RequestError

CACHE_HINTS = ("cache_control", "prompt_cache_breakpoint")
"""Where a client would begin or end what is cached; here every prefix is."""
REPLAYED = ("audio", "annotations")
"""Members of an answer that clients send back, and no template looks at."""


def can_be_continued(message: Message) -> bool:
    """An answer goes on with it: it is the assistant's, and its content is what it says last."""
    return (
        isinstance(message, AssistantMessage)
        and not message.tool_calls
        and message.function_call is None
    )


def check_calls(messages: Sequence[Message]) -> None:
    """Raise for a tool call without that which its type promises."""
    for index, message in enumerate(messages):
        for number, call in enumerate(_calls_of(message)):
            if call.body is None:
                param = f"messages[{index}].tool_calls[{number}].{call.kind}"
                raise RequestError(
                    f"Missing required parameter: '{param}'.",
                    param=param,
                    code="missing_required_parameter",
                )


def as_template_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """As a chat template reads them: results have the name of what was called, if it is known."""
    names: dict[str, str] = {}
    made = []
    for message in messages:
        names |= {call.id: call.body.name for call in _calls_of(message) if call.id and call.body}
        each = message.for_template()
        if isinstance(message, ToolMessage) and message.tool_call_id in names:
            each.setdefault("name", names[message.tool_call_id])
        made.append(each)
    return made


def has_instructions(messages: Sequence[Message]) -> bool:
    """Whether any of them is the system's or the developer's."""
    return any(isinstance(message, (SystemMessage, DeveloperMessage)) for message in messages)


def hints(messages: Sequence[Message]) -> Iterator[str]:
    """Paths of what messages and their parts hold that changes nothing."""
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        yield from _hints_on(message, path)
        if isinstance(message, AssistantMessage):
            yield from (f"{path}.{name}" for name in REPLAYED if getattr(message, name))
        if isinstance(message.content, list):
            for number, part in enumerate(message.content):
                yield from _hints_on(part, f"{path}.content[{number}]")


def check_strictly(messages: Sequence[Message]) -> None:
    """Raise where OpenAI would: for contents that are null, and calls and results that differ."""
    calling, unanswered, answerable = 0, set[str](), set[str]()
    for index, message in enumerate(messages):
        _check_values(message, index)
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in answerable:
                raise _stray_result(index)
            unanswered.discard(message.tool_call_id)
            continue
        if unanswered:
            raise _no_result(index, unanswered)
        calling = index
        unanswered = {call.id for call in _calls_of(message) if call.id}
        answerable = set(unanswered)
    if unanswered:
        raise _no_result(calling, unanswered)


def _calls_of(message: Message) -> Sequence[ToolCall]:
    return (message.tool_calls or ()) if isinstance(message, AssistantMessage) else ()


def _hints_on(holder: Message | TextPart | RefusalPart, path: str) -> Iterator[str]:
    for name in CACHE_HINTS:
        if getattr(holder, name) is not None:
            yield f"{path}.{name}"


def _check_values(message: Message, index: int) -> None:
    roles = (DeveloperMessage, SystemMessage, UserMessage)
    if isinstance(message, roles) and message.content is None:
        path = f"messages[{index}].content"
        raise RequestError(
            f"Invalid type for '{path}': expected a string or an array, but got null instead.",
            param=path,
            code="invalid_type",
        )
    if isinstance(message, AssistantMessage) and message.tool_calls == []:
        path = f"messages[{index}].tool_calls"
        raise RequestError(
            f"Invalid '{path}': empty array. Expected at least 1 item.",
            param=path,
            code="empty_array",
        )


def _stray_result(index: int) -> RequestError:
    return RequestError(
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message "
        "with 'tool_calls'.",
        param=f"messages.[{index}].role",
    )


def _no_result(index: int, unanswered: set[str]) -> RequestError:
    ids = ", ".join(sorted(unanswered))[:200]
    return RequestError(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        f"each 'tool_call_id'. These have no response: {ids}.",
        param=f"messages.[{index}].role",
    )
