"""What a schema asks of a text, as regular expressions that match all of it."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cria.constraint.sources import is_regex

ANY = r"(?s:.*)"
"""Any text; control tokens are no text."""
SOME = r"(?s:.+)"
MAX_COUNT = 64
"""Of anything that is repeated and looked for beside a mark: more takes too long to follow."""
MAX_LENGTH = 256
"""Characters of a text of which no more is asked than its length."""

_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d+(?:,\d*)?\}|[(|)]|.", re.DOTALL)
"""An escape, a class, a count, what makes groups and alternatives, or any other character."""


def string_patterns(schema: Mapping[str, Any], *, is_lenient: bool = False) -> tuple[str, ...]:
    """All of which a string matches; its `format` is not looked at, nor what is counted to more
    than could be followed. `is_lenient` leaves out a pattern that cannot be enforced.
    """
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not (is_lenient and not is_regex(pattern)):
        whole = whole_pattern("".join(map(_bounded, _PART.findall(pattern))))
        return (whole, *_length(least, most, MAX_COUNT)) if whole != ANY else (ANY,)
    return _length(least, most, MAX_COUNT if least else MAX_LENGTH) or (ANY,)


def is_open(patterns: Sequence[str]) -> bool:
    """Whether the beginning of a text that matches matches too."""
    return patterns == (ANY,) or re.fullmatch(r"\(\?s:\.\{0,\d+\}\)", "".join(patterns)) is not None


def _length(least: int, most: float, limit: int) -> tuple[str, ...]:
    least = min(least, limit)
    upper = "" if most > limit else max(least, int(most))
    return (f"(?s:.{{{least},{upper}}})",) if least or upper != "" else ()


def _bounded(part: str) -> str:
    """A count no higher than can be followed; then there is no upper one."""
    if not part.startswith("{") or part == "{":
        return part
    counts = part[1:-1].split(",")
    if int(counts[-1] or counts[0]) <= MAX_COUNT:
        return part
    return f"{{{min(int(counts[0]), MAX_COUNT)},}}"


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
