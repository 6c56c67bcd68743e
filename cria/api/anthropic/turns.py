"""The messages of a request as those of a chat, and where each of them came from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from cria.api.anthropic.blocks import (
    ContentBlock,
    InputMessage,
    SearchResultBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    search_text,
)
from cria.api.messages import (
    AssistantMessage,
    FunctionCall,
    Message,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)

ERROR_MARK = "Error: "
"""Before the result of a tool that failed, unless it says so itself."""

_BILLING = re.compile(r"(x-anthropic-billing-header:.*\bcch=)[0-9a-f]{5}\b")


class Turn(NamedTuple):
    """A message, and the path of what it was made of."""

    message: Message
    path: str


class _Placed(NamedTuple):
    block: ContentBlock
    path: str


def turns(system: str | list[TextBlock] | None, messages: Sequence[InputMessage]) -> list[Turn]:
    """All of a conversation; messages of one role that follow each other become one."""
    found = [Turn(_system(system), "system")] if system else []
    numbered = enumerate(messages)
    for role, group in groupby(numbered, key=lambda each: each[1].role):
        same = list(group)
        path = f"messages[{same[0][0]}]"
        placed = [
            _Placed(block, f"messages[{index}].content[{number}]")
            for index, message in same
            for number, block in enumerate(message.blocks)
        ]
        if role == "user":
            found += _user_turns(placed, path)
        elif role == "assistant":
            found.append(Turn(_assistant([each.block for each in placed]), path))
        else:
            found.append(Turn(SystemMessage(content=_parts(placed)), path))
    return found


def same_for_all(text: str) -> str:
    """Without what a client changes in every request: it would keep the prompt out of the cache."""
    return _BILLING.sub(r"\g<1>00000", text) if text.startswith("x-anthropic-billing") else text


def _system(system: str | list[TextBlock]) -> SystemMessage:
    if isinstance(system, str):
        return SystemMessage(content=same_for_all(system))
    return SystemMessage(content=[TextPart(text=same_for_all(block.text)) for block in system])


def _user_turns(placed: list[_Placed], path: str) -> list[Turn]:
    """First the results of tools, each a message, then what the user says."""
    found = [
        Turn(_result(each.block), each.path)
        for each in placed
        if isinstance(each.block, ToolResultBlock)
    ]
    parts = _parts(placed)
    if parts or not found:
        found.append(Turn(UserMessage(content=parts), path))
    return found


def _parts(placed: list[_Placed]) -> list[TextPart]:
    return [TextPart(text=text) for each in placed if (text := _text_of(each.block)) is not None]


def _text_of(block: object) -> str | None:
    """Of a block that the model reads as text."""
    if isinstance(block, TextBlock):
        return block.text
    return search_text(block) if isinstance(block, SearchResultBlock) else None


def _result(block: ToolResultBlock) -> ToolMessage:
    content = block.content or ""
    if not isinstance(content, str):
        texts = [_text_of(each) for each in content]
        content = "\n".join(text for text in texts if text is not None)
    if block.is_error and not content.lower().startswith("error"):
        content = ERROR_MARK + content
    return ToolMessage(content=content, tool_call_id=block.tool_use_id)


def _assistant(blocks: list[ContentBlock]) -> AssistantMessage:
    """Without text the content is null, as OpenAI's is beside calls."""
    texts: list[TextPart | RefusalPart] = [
        TextPart(text=block.text) for block in blocks if isinstance(block, TextBlock)
    ]
    calls = [_call(block) for block in blocks if isinstance(block, ToolUseBlock)]
    thoughts = [block.thinking for block in blocks if isinstance(block, ThinkingBlock)]
    return AssistantMessage(
        content=texts or None,
        tool_calls=calls or None,
        reasoning_content="\n".join(thoughts) or None,
    )


def _call(block: ToolUseBlock) -> ToolCall:
    arguments = msgspec.json.encode(block.input).decode()
    return ToolCall(type="function", id=block.id, function=FunctionCall(block.name, arguments))
