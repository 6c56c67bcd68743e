"""`Draw`: what a model's template makes of a conversation, as a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Draw(Protocol):
    def __call__(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        kwargs: Mapping[str, Any] | None = None,
    ) -> str: ...
