"""`POST /v1/messages` and `POST /v1/messages/count_tokens`: what they are asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from cria.api.anthropic.blocks import (
    CacheControl,
    InputMessage,
    TextBlock,
    check_blocks,
    media_refusal,
    notes_on,
)
from cria.api.anthropic.tools import InputChoice, InputTool, check_tools, notes_on_tools
from cria.api.decoding import RequestBody
from cria.api.sampling_fields import MAX_INT32
from cria.api.unsupported import Refusal
from cria.errors import RequestError

Share = Annotated[float, Meta(ge=0, le=1)]
StopSequence = Annotated[str, Meta(min_length=1)]

KEEPS_ALL = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
"""An edit of the conversation that edits nothing."""


class ThinkingEnabled(msgspec.Struct, tag_field="type", tag="enabled"):
    """The model thinks first."""

    budget_tokens: Annotated[int, Meta(ge=1, le=MAX_INT32)]
    """The most tokens that it may think."""
    display: Literal["summarized", "omitted"] | None = None
    """`omitted`: the answer says that the model thought, and not what."""


class ThinkingAdaptive(msgspec.Struct, tag_field="type", tag="adaptive"):
    """The model thinks as much as it likes."""

    display: Literal["summarized", "omitted"] | None = None


class ThinkingBetweenTools(msgspec.Struct, tag_field="type", tag="between_tools"):
    """When it thinks is not for this server to say: it has no effect."""


class ThinkingDisabled(msgspec.Struct, tag_field="type", tag="disabled"):
    """The model does not think first."""


Thinking = ThinkingEnabled | ThinkingAdaptive | ThinkingBetweenTools | ThinkingDisabled


class OutputFormat(msgspec.Struct, tag_field="type", tag="json_schema"):
    """The answer is JSON of this schema."""

    schema: dict[str, Any]


class OutputConfig(msgspec.Struct):
    """How much the model should think, and what the answer looks like."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class Metadata(msgspec.Struct):
    """Who asks."""

    user_id: str | None = None


class CountTokensRequest(RequestBody, kw_only=True):
    """A conversation whose tokens are counted."""

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = {
        "container": Refusal(reason="this server runs no programs"),
        "mcp_servers": Refusal(reason="this server calls no others"),
        "context_management": Refusal(
            (KEEPS_ALL, {"edits": []}), reason="this server edits no conversations"
        ),
    }
    NOTED: ClassVar[frozenset[str]] = frozenset(
        "metadata service_tier cache_control diagnostics speed inference_geo user_profile_id "
        "workspace_id betas".split()
    )

    model: str
    messages: Annotated[list[InputMessage], Meta(min_length=1)]
    """If the last one is the assistant's, the answer goes on with it."""
    system: str | list[TextBlock] | None = None
    tools: list[InputTool] = []
    """What the model may call."""
    tool_choice: InputChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    """The older name of `output_config.format`."""
    # The rest is checked and noted.
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    cache_control: CacheControl | None = None
    diagnostics: dict[str, Any] | None = None
    speed: Literal["standard", "fast"] | None = None
    inference_geo: str | None = None
    user_profile_id: str | None = None
    workspace_id: str | None = None
    betas: list[str] | None = None

    def __post_init__(self) -> None:
        check_blocks(self.messages)
        check_tools(self.tools)
        if self.output_format and self.output_config and self.output_config.format:
            raise RequestError(
                "'output_format' is the older name of 'output_config.format'. Send one of them.",
                param="output_format",
                code="invalid_value",
            )

    @classmethod
    def explain(cls, fields: dict[str, Any]) -> RequestError | None:
        return media_refusal(fields.get("messages"))

    @property
    def format(self) -> OutputFormat | None:
        """What the answer looks like, if that is said."""
        newer = self.output_config.format if self.output_config else None
        return self.output_format or newer

    @property
    def format_field(self) -> str:
        """The field that says it."""
        return "output_format" if self.output_format else "output_config.format"

    @property
    def effort(self) -> Literal["low", "medium", "high", "xhigh", "max"] | None:
        """How much the model should think; nothing if it should not."""
        if isinstance(self.thinking, ThinkingDisabled) or self.output_config is None:
            return None
        return self.output_config.effort

    @property
    def hides_thinking(self) -> bool:
        """The answer only says that the model thought."""
        return getattr(self.thinking, "display", None) == "omitted"

    def without_effect(self) -> Iterator[str]:
        yield from super().without_effect()
        if isinstance(self.thinking, ThinkingBetweenTools):
            yield "thinking"
        if self.output_config and self.output_config.effort != self.effort:
            yield "output_config.effort"
        yield from notes_on("system", self.system)
        yield from notes_on_tools(self.tools)
        for index, message in enumerate(self.messages):
            yield from notes_on(f"messages[{index}].content", message.content)


class MessagesRequest(CountTokensRequest, kw_only=True):
    """Continue a conversation."""

    max_tokens: Annotated[int, Meta(ge=1, le=MAX_INT32)]
    """Tokens to generate, those of thinking too."""
    stream: bool = False
    stop_sequences: Annotated[list[StopSequence], Meta(max_length=16)] = []
    """Strings before which the answer ends."""
    temperature: Share = 1.0
    """0 chooses the most likely token."""
    top_p: Share = 1.0
    top_k: Annotated[int, Meta(ge=0, le=MAX_INT32)] = 0
    """0 for all tokens."""
