"""`ReasoningFormat`: how a model writes its thinking, as data."""

from __future__ import annotations

from typing import NamedTuple


class ReasoningFormat(NamedTuple):
    """Thinking stands between `open` and `close`, before the answer."""

    open: str
    close: str
    headers: tuple[str, ...] = ()
    """Texts that only announce the answer (`<|channel|>final<|message|>`) and are dropped."""


THINK = ReasoningFormat("<think>", "</think>")
"""Of most models."""
