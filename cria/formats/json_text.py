"""The text of a JSON string, decoded as it comes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from cria.formats.marks import Marks
from cria.formats.source import Reading, Source

_MARKS = Marks('"', "\\")
_HEX = re.compile(r"[0-9a-fA-F]{0,3}\Z|[0-9a-fA-F]{4}")
"""Four digits, or fewer where more may come."""


def read_json_text(source: Source, sink: Callable[[str], None]) -> Reading[bool]:
    """From behind its opening quote to behind its closing one; whether that came.

    What is no JSON escape is left as it is; half of a surrogate pair becomes U+FFFD.
    """
    while True:
        found = _MARKS.search(source.text, source.pos)
        sink(source.take(found.start))
        if found.mark == '"':
            source.pos += 1
            return True
        if found.mark:
            sink((yield from _read_escape(source)))
        elif source.is_closed:
            return False
        else:
            yield


def _read_escape(source: Source) -> Reading[str]:
    text = yield from _read_unit(source)
    if text.startswith("\\u") and _is_high(_decode(text)):
        source.hold()
        low = yield from _read_unit(source)
        if "\udc00" <= _decode(low) <= "\udfff":
            source.let_go()
            text += low
        else:
            source.back()
    return without_surrogates(_decode(text))


def _is_high(text: str) -> bool:
    return "\ud800" <= text <= "\udbff"


def _read_unit(source: Source) -> Reading[str]:
    """A backslash and what belongs to it; "" if something else comes."""
    while True:
        text = source.text[source.pos : source.pos + 6]
        if text and text[0] != "\\":
            return ""
        size = 6 if text[1:2] == "u" and _HEX.match(text, 2) else 2
        if len(text) >= size or source.is_closed:
            return source.take(source.pos + min(size, len(text)))
        yield


def _decode(escape: str) -> str:
    try:
        return str(json.loads(f'"{escape}"'))
    except ValueError:
        return escape


def without_surrogates(text: str) -> str:
    """Text that can be encoded: pairs become what they stand for, halves U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
