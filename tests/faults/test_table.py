"""`docs/reliability.md`: every fault has a row, and every test that a row names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "reliability.md"
NEVER_GIVEN = {*range(27, 30), *range(42, 50), 68, 69}
"""Numbers that stand for no fault."""
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::([\w:]+))?`")
ELSEWHERE = ("the same", "not done", "does not apply")
"""In place of a test: the one of the row before, or why there is none."""


def rows() -> Iterator[tuple[str, str]]:
    for line in TABLE.read_text().splitlines():
        if (found := re.match(r"\| *((?:F\d+(?:-F?\d+)?,? *)+)\|", line)) is not None:
            yield found[1], line


def numbers(names: str) -> Iterator[int]:
    """Of `F3`, `F3, F5` and `F3-F5`."""
    for first, last in re.findall(r"F(\d+)(?:-F?(\d+))?", names):
        yield from range(int(first), int(last or first) + 1)


def test_every_fault_has_a_row() -> None:
    told = {number for names, _ in rows() for number in numbers(names)}
    assert told >= set(range(1, 97)) - NEVER_GIVEN


@pytest.mark.parametrize("line", [line for _, line in rows()])
def test_what_a_row_names_is_there(line: str) -> None:
    tests = NAMED.findall(line)
    assert tests or any(reason in line for reason in ELSEWHERE)
    for path, names in tests:
        source = (ROOT / path).read_text()
        for name in filter(None, names.split("::")):
            assert re.search(rf"^ *(?:async def|def|class) {name}\b", source, re.MULTILINE)
