"""`JsonEnd`: where a JSON value ends, without parsing it."""

from __future__ import annotations

import re

_TOKEN = re.compile(r'["{}\[\]]')
_IN_STRING = re.compile(r'["\\]')


class JsonEnd:
    """Of one object or array whose text comes in chunks."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_string = False
        self._is_escaped = False

    def find(self, text: str, start: int = 0) -> int | None:
        """Right behind the value; None if it goes on after this chunk.

        The first call of all must start at the value's bracket.
        """
        while True:
            if self._is_escaped and start < len(text):
                self._is_escaped = False
                start += 1
            match = (_IN_STRING if self._is_string else _TOKEN).search(text, start)
            if match is None:
                return None
            start = match.end()
            self._take(match[0])
            if self._depth == 0:
                return start

    def _take(self, token: str) -> None:
        if token == '"':
            self._is_string = not self._is_string
        elif token == "\\":
            self._is_escaped = True
        else:
            self._depth += 1 if token in "{[" else -1
