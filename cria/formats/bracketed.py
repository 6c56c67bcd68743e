"""Where a value ends that no mark closes: before a comma or a bracket that is not its own."""

from __future__ import annotations

from collections.abc import Sequence

from cria.formats.marks import Marks
from cria.formats.source import Reading, Source

_BRACKETS = "()[]{},"


def read_bracketed(source: Source, quotes: Sequence[str], has_escapes: bool) -> Reading[str | None]:
    """The text of the value; None if the answer ends before. Its end is left."""
    parts: list[str] = []
    depth, quote = 0, ""
    while True:
        found = _marks(quotes, quote, has_escapes).search(source.text, source.pos)
        parts.append(source.take(found.start))
        mark = found.mark
        if not mark or (mark == "\\" and source.pos + 1 == len(source.text)):
            if source.is_closed:
                return None
            yield
            continue
        if not (depth or quote) and mark in ",)]}":
            return "".join(parts)
        parts.append(source.take(source.pos + (2 if mark == "\\" else len(mark))))
        if mark in (quote, *quotes):
            quote = "" if quote else mark
        elif not quote:
            depth += (mark in "([{") - (mark in ")]}")


def _marks(quotes: Sequence[str], quote: str, has_escapes: bool) -> Marks:
    if not quote:
        return Marks.of(*quotes, *_BRACKETS)
    return Marks.of(quote, "\\") if has_escapes else Marks.of(quote)
