"""Cut a text before the first stop string that it completes.

1. The first is the one that ends first; of those that end at the same place, the longest. This is
   what a reader of single characters finds, and so does not depend on how the text arrives.
2. Only text that could still become part of a match is held back.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Of one generation; without stop strings, all text passes at once."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._first_characters = frozenset(stop[0] for stop in stops)
        self._longest = max(map(len, stops), default=0)
        self._held = ""
        self.matched: str | None = None
        """The stop string that ended the text; everything after it is dropped."""

    def feed(self, text: str) -> str:
        """The text that no match can take back any more."""
        if not self._stops:
            return text
        if self.matched is not None:
            return ""
        text = self._held + text
        match = min(self._matches(text), default=None)
        if match:
            _, cut, self.matched = match
        else:
            cut = self._start_of_partial_match(text)
        self._held = "" if match else text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """What was held back and turned out to be no match."""
        held, self._held = self._held, ""
        return held

    def _matches(self, text: str) -> list[tuple[int, int, str]]:
        """End, start and string of the first occurrence of each."""
        found = [(text.find(stop), stop) for stop in self._stops]
        return [(start + len(stop), start, stop) for start, stop in found if start >= 0]

    def _start_of_partial_match(self, text: str) -> int:
        for start in range(max(0, len(text) - self._longest + 1), len(text)):
            if text[start] in self._first_characters and self._begins_a_stop(text[start:]):
                return start
        return len(text)

    def _begins_a_stop(self, text: str) -> bool:
        return any(stop.startswith(text) for stop in self._stops)
