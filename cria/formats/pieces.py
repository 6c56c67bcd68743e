"""`Piece`: what a parser finds in the text of an answer, in order."""

from __future__ import annotations

import enum
from typing import NamedTuple


class PieceKind(enum.Enum):
    """What a piece of text is part of."""

    CONTENT = "content"
    REASONING = "reasoning"
    CALL = "call"
    """A call begins; the text is the whole name of what is called."""
    ARGUMENTS = "arguments"
    """Of the last call: JSON text, or for a tool that takes text the text itself."""
    CALL_END = "call_end"
    """The last call is complete; no text."""


class Piece(NamedTuple):
    """Some text, and what it is; texts of one kind that follow each other belong together."""

    kind: PieceKind
    text: str = ""
