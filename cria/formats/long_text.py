"""The text of a custom tool between long quotes: nothing in it is escaped."""

from __future__ import annotations

from collections.abc import Callable

from cria.formats.marked_formats import LONG_QUOTE
from cria.formats.source import Reading, Source, read_until


def read_long_text(source: Source, sink: Callable[[str], None]) -> Reading[bool]:
    """From behind the opening quote to behind the closing one; whether that came.

    Of more quotation marks than three the last three are the quote: SQL often ends with one.
    """
    if (yield from read_until(source, [LONG_QUOTE], sink)) is None:
        return False
    while True:
        rest = source.text[source.pos :]
        if rest.startswith(LONG_QUOTE[0]):
            sink(source.take(source.pos + 1))
        elif rest or source.is_closed:
            return True
        else:
            yield
