"""Values whose strings stand between one mark, and whose keys stand bare."""

from __future__ import annotations

import json
import re
from typing import Any

_BARE = re.compile(r"[^\[\]{},]*")
_SPACE = re.compile(r"\s*")


def quoted_to_value(text: str, quote: str) -> Any:
    """Raises ValueError, or RecursionError for one nested too deeply."""
    reader = _Reader(text, quote)
    value = reader.value()
    if reader.next():
        raise ValueError("text after the value")
    return value


class _Reader:
    def __init__(self, text: str, quote: str) -> None:
        self._text = text
        self._quote = quote
        self._pos = 0

    def next(self) -> str:
        """The next character that is no blank, or ""."""
        match = _SPACE.match(self._text, self._pos)
        assert match
        self._pos = match.end()
        return self._text[self._pos : self._pos + 1]

    def value(self) -> Any:
        next_ = self.next()
        if self._text.startswith(self._quote, self._pos):
            return self._string()
        if next_ == "{":
            return self._object()
        if next_ == "[":
            return self._array()
        return _plain(self._bare())

    def _string(self) -> str:
        start = self._pos + len(self._quote)
        end = self._text.index(self._quote, start)
        self._pos = end + len(self._quote)
        return self._text[start:end]

    def _object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._pos += 1
        while self.next() != "}":
            key = self._key()
            found[key] = self.value()
            self._pass_comma("}")
        self._pos += 1
        return found

    def _array(self) -> list[Any]:
        found = []
        self._pos += 1
        while self.next() != "]":
            found.append(self.value())
            self._pass_comma("]")
        self._pos += 1
        return found

    def _key(self) -> str:
        if self._text.startswith(self._quote, self._pos):
            key = self._string()
            self._expect(":")
            return key
        end = self._text.index(":", self._pos)
        key = self._text[self._pos : end].strip()
        self._pos = end + 1
        return key

    def _pass_comma(self, end: str) -> None:
        if self.next() != end:
            self._expect(",")

    def _expect(self, text: str) -> None:
        if self.next() != text:
            raise ValueError(f"no {text}")
        self._pos += 1

    def _bare(self) -> str:
        match = _BARE.match(self._text, self._pos)
        assert match
        self._pos = match.end()
        return match[0].strip()


def _plain(text: str) -> Any:
    if not text:
        raise ValueError("nothing")
    try:
        return json.loads(text)
    except ValueError:
        return text
