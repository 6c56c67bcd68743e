"""Keep the text of a control token, written by a user, from becoming the control token.

A rendered prompt is tokenised with control tokens parsed, since the template's own are meant. So
that `<|im_end|>` inside a message cannot end the message, a seam is put into it before rendering:
a character that occurs nowhere else. The rendered text is cut at the seams, and the pieces are
tokenised one by one; none of them holds the whole text of a control token that a user wrote.

A conversation without such text, which is nearly every one, has no seams and is tokenised whole,
so that its token ids are exactly those of any other program with the same template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cria.errors import RequestError

_PRIVATE_USE = range(0xF0000, 0xFFFFE)


class ControlText:
    """Finds the texts of a vocabulary's control tokens, hundreds of them, in one pass."""

    def __init__(self, texts: Iterable[str]) -> None:
        # A text of one character cannot be cut; no known vocabulary has such a control token.
        pattern = _alternatives({text for text in texts if len(text) > 1})
        self._search = re.compile(pattern).search
        # Occurrences may overlap, so that every start is cut, not every occurrence.
        self._cut = re.compile(f"(?={pattern})(.)", re.DOTALL).sub

    def occurs_in(self, value: Any) -> bool:
        """Whether any string in a JSON value holds such a text."""
        return any(self._search(text) for text in strings_of(value))

    def cut(self, value: Any, seam: str) -> Any:
        """A copy of a JSON value with the seam in each such text."""
        return map_strings(value, lambda text: self._cut(rf"\1{seam}", text))


def choose_seam(texts: Iterable[str]) -> str:
    """A character that none of the texts contains."""
    used = set().union(*map(set, texts))
    for code in _PRIVATE_USE:
        if chr(code) not in used:
            return chr(code)
    raise RequestError("The messages use every private character of Unicode.", param="messages")


def strings_of(value: Any) -> Iterator[str]:
    """All strings in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)


def map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of a JSON value with all its strings changed, keys included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): map_strings(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [map_strings(item, change) for item in value]
    return value


def _alternatives(texts: set[str]) -> str:
    """A pattern for any of the texts that looks at each character once: a trie.

    A plain alternation of a thousand texts would try each of them at every `<`.
    """
    if not texts:
        return r"(?!)"
    return _trie(texts)


def _trie(texts: set[str]) -> str:
    tails: dict[str, set[str]] = {}
    for text in texts - {""}:
        tails.setdefault(text[0], set()).add(text[1:])
    if not tails or "" in texts:
        return ""  # The shortest text is enough to know that there is one.
    branches = [re.escape(first) + _trie(rest) for first, rest in sorted(tails.items())]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
