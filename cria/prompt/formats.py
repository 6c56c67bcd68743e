"""What a model's template says of tool calls and thinking."""

from __future__ import annotations

from collections.abc import Mapping

from cria.formats.model_formats import ModelFormats, model_formats
from cria.prompt.chat_template import ChatTemplate


def formats_of(template: ChatTemplate, control_ids: Mapping[str, int]) -> ModelFormats:
    """Renders some dozens of short conversations; `control_ids` are control tokens by name."""
    source = template.tool_source or template.source
    return model_formats(source, template.draw, control_ids, takes_tools=template.takes_tools)
