"""`Marks`: the first of some texts in a text that goes on."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class Found(NamedTuple):
    """Where a mark begins; nothing before it can be a part of one."""

    start: int
    mark: str = ""
    """"" if there is none, or if the text ends before the mark does."""

    @property
    def is_whole(self) -> bool:
        return self.mark != ""


class Marks:
    """Of some texts the first in a text, or the beginning of one at its end."""

    def __init__(self, *marks: str) -> None:
        whole = sorted(filter(None, set(marks)), key=len, reverse=True)
        parts = {mark[:size] for mark in whole for size in range(1, len(mark))}
        ends = "|".join(map(re.escape, sorted(parts, key=len, reverse=True)))
        texts = "|".join(map(re.escape, whole))
        self._pattern = re.compile(
            (f"({texts})" if whole else "(?!)()") + (f"|(?:{ends})\\Z" if parts else "")
        )

    @staticmethod
    @lru_cache(maxsize=256)
    def of(*marks: str) -> Marks:
        """The same, made once."""
        return Marks(*marks)

    def search(self, text: str, start: int = 0) -> Found:
        """The first mark from `start` on; of two at one place the longer one."""
        match = self._pattern.search(text, start)
        return Found(match.start(), match[1] or "") if match else Found(len(text))
