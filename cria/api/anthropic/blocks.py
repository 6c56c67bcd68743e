"""The blocks that the content of a message is made of, as clients send them.

What the tools of Anthropic's own servers have left in a conversation is taken and dropped; pictures
and documents are refused, since the models here read text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from cria.errors import RequestError

MEDIA_BLOCKS = frozenset("image document".split())
"""Blocks that a model for text cannot read."""

CacheControl = dict[str, Any]
BlockId = Annotated[str, Meta(min_length=1)]


class Block(msgspec.Struct, tag_field="type", kw_only=True):
    """What every block may have."""

    cache_control: CacheControl | None = None


class TextBlock(Block, tag="text", kw_only=True):
    """Text; where an earlier answer found it (`citations`) is not told to the model."""

    text: str
    citations: Any = None


class ThinkingBlock(Block, tag="thinking", kw_only=True):
    """What the assistant thought in an earlier turn. The signature is not checked."""

    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Block, tag="redacted_thinking", kw_only=True):
    """Thinking that nobody but Anthropic can read: dropped."""

    data: str


class ToolUseBlock(Block, tag="tool_use", kw_only=True):
    """A call that the assistant made in an earlier turn."""

    id: BlockId
    name: BlockId
    input: dict[str, Any]
    caller: Any = None


class SearchResultBlock(Block, tag="search_result", kw_only=True):
    """A text that a client found: the model reads its title, its source and its content."""

    source: str
    title: str
    content: list[TextBlock]
    citations: Any = None


class ToolReferenceBlock(Block, tag="tool_reference", kw_only=True):
    """A tool that a search for tools has found: dropped, as all tools are known here."""

    tool_name: str


class ToolResultBlock(Block, tag="tool_result", kw_only=True):
    """What a tool returned."""

    tool_use_id: BlockId
    content: str | list[TextBlock | SearchResultBlock | ToolReferenceBlock] | None = None
    is_error: bool | None = None
    """The model is told so."""


class ServerBlock(Block, kw_only=True):
    """Of a tool that Anthropic's servers run: dropped."""

    id: Any = None
    name: Any = None
    input: Any = None
    content: Any = None
    tool_use_id: Any = None
    is_error: Any = None
    server_name: Any = None
    caller: Any = None
    file_id: Any = None


class ServerToolUse(ServerBlock, tag="server_tool_use"):
    """A call."""


class WebSearchResult(ServerBlock, tag="web_search_tool_result"):
    """What it found."""


class WebFetchResult(ServerBlock, tag="web_fetch_tool_result"):
    """What it read."""


class CodeExecutionResult(ServerBlock, tag="code_execution_tool_result"):
    """What a program wrote."""


class BashExecutionResult(ServerBlock, tag="bash_code_execution_tool_result"):
    """What a shell wrote."""


class TextEditorResult(ServerBlock, tag="text_editor_code_execution_tool_result"):
    """What an editor did."""


class ToolSearchResult(ServerBlock, tag="tool_search_tool_result"):
    """Tools that were found."""


class McpToolUse(ServerBlock, tag="mcp_tool_use"):
    """A call of a connected server's."""


class McpToolResult(ServerBlock, tag="mcp_tool_result"):
    """What that returned."""


class ContainerUpload(ServerBlock, tag="container_upload"):
    """A file in a container."""


ContentBlock = (
    TextBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock
    | SearchResultBlock
    | ServerToolUse
    | WebSearchResult
    | WebFetchResult
    | CodeExecutionResult
    | BashExecutionResult
    | TextEditorResult
    | ToolSearchResult
    | McpToolUse
    | McpToolResult
    | ContainerUpload
)
DROPPED = (RedactedThinkingBlock, ServerBlock, ToolReferenceBlock)
"""Blocks of which the model sees nothing."""


class InputMessage(msgspec.Struct):
    """One message; those of one role that follow each other are one turn."""

    role: Literal["user", "assistant", "system"]
    content: str | list[ContentBlock]

    @property
    def blocks(self) -> list[ContentBlock]:
        """Text alone is one block of it."""
        if isinstance(self.content, str):
            return [TextBlock(text=self.content)]
        return self.content


ALLOWED: dict[str, tuple[type[Block], ...]] = {
    "user": (TextBlock, SearchResultBlock, ToolResultBlock, ServerBlock),
    "assistant": (
        TextBlock,
        ThinkingBlock,
        RedactedThinkingBlock,
        ToolUseBlock,
        ServerBlock,
    ),
    "system": (TextBlock,),
}
"""What each role can say."""


def check_blocks(messages: list[InputMessage]) -> None:
    """Raise for a block in a message whose role has no such thing."""
    for index, message in enumerate(messages):
        for number, block in enumerate(message.blocks):
            if not isinstance(block, ALLOWED[message.role]):
                kind = block.__struct_config__.tag
                raise RequestError(
                    f"A message of the role '{message.role}' cannot hold a '{kind}' block.",
                    param=f"messages[{index}].content[{number}]",
                    code="invalid_value",
                )


def search_text(block: SearchResultBlock) -> str:
    """As the model reads it."""
    return "\n".join([block.title, block.source, *(part.text for part in block.content)])


def notes_on(path: str, content: object) -> Iterator[str]:
    """Paths of blocks that are dropped, and of what other blocks say without effect."""
    for number, block in enumerate(content if isinstance(content, list) else ()):
        where = f"{path}[{number}]"
        if isinstance(block, DROPPED):
            yield where
            continue
        for name in ("cache_control", "citations"):
            if getattr(block, name, None) is not None:
                yield f"{where}.{name}"
        if isinstance(block, (ToolResultBlock, SearchResultBlock)):
            yield from notes_on(f"{where}.content", block.content)


def media_refusal(messages: object) -> RequestError | None:
    """The error for the first block of a raw conversation that is no text, if there is one."""
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        found = _media_in(message, f"messages[{index}]")
        if found is not None:
            return found
    return None


def _media_in(holder: object, path: str) -> RequestError | None:
    """In a message or in a block, which may hold blocks too."""
    content = holder.get("content") if isinstance(holder, dict) else None
    for number, block in enumerate(content if isinstance(content, list) else ()):
        where = f"{path}.content[{number}]"
        kind = block.get("type") if isinstance(block, dict) else None
        if isinstance(kind, str) and kind in MEDIA_BLOCKS:
            return RequestError(
                f"Invalid content type: '{kind}'. This model reads text only.",
                param=where,
                code="unsupported_value",
            )
        if kind == "tool_result" and (found := _media_in(block, where)):
            return found
    return None
