"""`text` and `reasoning` of a response: the form of its text, and how much to think."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cria.api import constraints as chat
from cria.api.reasoning import ReasoningEffort


class PlainText(msgspec.Struct, tag_field="type", tag="text"):
    """Anything."""


class JsonObject(msgspec.Struct, tag_field="type", tag="json_object"):
    """Any JSON object."""


class JsonOfSchema(msgspec.Struct, tag_field="type", tag="json_schema"):
    """JSON of a schema; `strict: false` takes what cannot be enforced for a hint."""

    name: chat.Name
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class TextConfig(msgspec.Struct):
    format: PlainText | JsonObject | JsonOfSchema | None = None
    verbosity: Literal["low", "medium", "high"] | None = None

    @property
    def chat_format(self) -> chat.ResponseFormat | None:
        """The same for a chat."""
        wanted = self.format
        if isinstance(wanted, JsonObject):
            return chat.JsonObjectFormat()
        if isinstance(wanted, JsonOfSchema):
            return chat.JsonSchemaFormat(
                chat.JsonSchema(wanted.name, wanted.description, wanted.schema, wanted.strict)
            )
        return None


Summary = Literal["auto", "concise", "detailed"]


class ReasoningConfig(msgspec.Struct):
    effort: ReasoningEffort | None = None
    summary: Summary | None = None
    """Tell the thinking as a summary."""
    generate_summary: Summary | None = None
    """The same by its older name."""
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: Literal["standard", "pro"] | None = None

    @property
    def wanted_summary(self) -> Summary | None:
        return self.summary or self.generate_summary
