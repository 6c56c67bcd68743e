"""Control tokens inside the texts of a format.

A model writes `<tool_call>` as one control token or as several plain ones, which are different
things: the same letters as plain tokens are text. In the text that a parser reads, the name of a
control token therefore begins with a mark that no text has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

MARK = "\ufdd0"
"""A code point that Unicode keeps for internal use."""


class Special(NamedTuple):
    """One control token."""

    token_id: int
    text: str


class SpecialTexts:
    """The control tokens of one vocabulary by their names."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._ids = ids
        names = sorted((name for name in ids if name), key=len, reverse=True)
        self._pattern = re.compile(
            "(" + "|".join(map(re.escape, names)) + ")" if names else r"(?!)()"
        )

    def split(self, text: str) -> tuple[str | Special, ...]:
        """The text as its plain parts and its control tokens, in order; the longest name wins."""
        parts = self._pattern.split(text)
        return tuple(
            Special(self._ids[part], part) if number % 2 else part
            for number, part in enumerate(parts)
            if part
        )

    def marked(self, text: str) -> str:
        """As a parser sees it: each control token with its mark."""
        parts = self.split(text)
        return "".join(MARK + p.text if isinstance(p, Special) else p for p in parts)

    def pieces(self, pieces: Sequence[bytes], texts: Iterable[str]) -> list[bytes]:
        """The bytes of every token where the control tokens in these texts are marked text."""
        found = list(pieces)
        for text in texts:
            for part in self.split(text):
                if isinstance(part, Special):
                    found[part.token_id] = (MARK + part.text).encode()
        return found


def unmarked(text: str) -> str:
    """The same as a reader sees it."""
    return text.replace(MARK, "")
