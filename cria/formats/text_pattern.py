"""What a schema asks of a text, as regular expressions that match all of it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cria.constraint.sources import is_regex

ANY = r"(?s:.*)"
"""Any text; control tokens are no text."""
SOME = r"(?s:.+)"
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[(|)]|.", re.DOTALL)
"""An escape, a class, what makes groups and alternatives, or any other character."""


def string_patterns(schema: Mapping[str, Any], *, is_lenient: bool = False) -> tuple[str, ...]:
    """All of which a string matches; its `format` is not looked at.

    `is_lenient` leaves out a pattern that cannot be enforced.
    """
    least, most = schema.get("minLength", 0), schema.get("maxLength", "")
    lengths = [f"(?s:.{{{least},{most}}})"] if least or most != "" else []
    pattern = schema.get("pattern")
    patterns = [whole_pattern(pattern)] if isinstance(pattern, str) else []
    if is_lenient:
        patterns = list(filter(is_regex, patterns))
    return (*patterns, *lengths) or (ANY,)


def whole_pattern(pattern: str) -> str:
    """A pattern for all of the text; JSON Schema looks for it anywhere."""
    return "|".join(f"(?:{_anchored(each)})" for each in _alternatives(pattern))


def may_be_empty(choices: Iterable[Sequence[str]]) -> bool:
    """Whether no text matches all patterns of a choice. What Python does not know does not."""
    return any(all(map(_takes_nothing, patterns)) for patterns in choices)


def _anchored(pattern: str) -> str:
    begin = "" if pattern.startswith("^") else ANY
    end = "" if re.search(r"(?<!\\)(?:\\\\)*\$$", pattern) else ANY
    return f"{begin}(?:{pattern.removeprefix('^')[: -1 if not end else None]}){end}"


def _alternatives(pattern: str) -> Iterator[str]:
    """Those that are in no group: each has anchors of its own."""
    found, depth = "", 0
    for part in _PART.findall(pattern):
        depth += (part == "(") - (part == ")")
        if part == "|" and not depth:
            yield found
            found = ""
        else:
            found += part
    yield found


def _takes_nothing(pattern: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.fullmatch(pattern, "") is not None
        except (re.error, OverflowError, RecursionError):
            return False
