from __future__ import annotations

import pytest

from cria.formats.long_text import read_long_text
from cria.formats.source import Source


def read(text: str, size: int) -> tuple[str, bool, str]:
    """What was read, whether it was whole, and what is left."""
    source, parts = Source(), list[str]()
    reading = read_long_text(source, parts.append)
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return "".join(parts), end.value, source.text[source.pos :] + "".join(chunks)
        if chunks:
            source.add(chunks.pop(0))
        else:
            source.is_closed = True


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("go 6''')", ("go 6", True, ")")),
        ("it's '' so''')", ("it's '' so", True, ")")),
        ("name = 'x'''')", ("name = 'x'", True, ")")),
        ("'''", ("", True, "")),
        ("never closed", ("never closed", False, "")),
    ],
)
def test_text_up_to_the_last_long_quote(text: str, size: int, found: tuple[str, bool, str]) -> None:
    assert read(text, size) == found
