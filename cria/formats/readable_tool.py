"""`ReadableTool`: what a parser must know of a tool."""

from __future__ import annotations

from typing import Any, NamedTuple


class ReadableTool(NamedTuple):
    """The schema tells text from other values where the format does not."""

    name: str
    schema: dict[str, Any]
    is_text: bool = False
    """The arguments hold one text, and that text is what is wanted."""
    is_raw: bool = False
    """The text itself stands where the arguments would."""
