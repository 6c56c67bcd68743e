"""`ModelFormats`: all that is known of how one model writes calls and thinking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cria.formats.derive_reasoning import derive_reasoning
from cria.formats.draw import Draw
from cria.formats.known_tools import tool_format
from cria.formats.reasoning_format import ReasoningFormat
from cria.formats.special import SpecialTexts
from cria.formats.tool_format import HERMES, ToolFormat


class ModelFormats(NamedTuple):
    """Of one model; by default, of one whose template says nothing."""

    tools: ToolFormat = HERMES
    reasoning: ReasoningFormat | None = None
    special: SpecialTexts = SpecialTexts({})


def model_formats(
    source: str, draw: Draw, control_ids: Mapping[str, int], *, takes_tools: bool
) -> ModelFormats:
    """What the template with this source says; `control_ids` are control tokens by name."""
    tools = tool_format(source, draw) if takes_tools else None
    reasoning = derive_reasoning(draw, source) if source else None
    return ModelFormats(tools or HERMES, reasoning, SpecialTexts(control_ids))
