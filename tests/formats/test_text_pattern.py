from __future__ import annotations

import re
from typing import Any

import pytest

from cria.formats.text_pattern import ANY, may_be_empty, string_patterns, whole_pattern


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^[a-c]{1,3}$", "abc", "abcd"),
        ("b", "abc", "aac"),
        ("^a|b$", "ax", "xa"),
        ("^a|b$", "xb", "bx"),
        (r"^a\|b$", "a|b", "a"),
        (r"[|]", "x|y", "xy"),
        (r"a\$", "xa$x", "xa"),
    ],
)
def test_a_pattern_for_all_of_the_text(pattern: str, good: str, bad: str) -> None:
    assert re.fullmatch(whole_pattern(pattern), good)
    assert not re.fullmatch(whole_pattern(pattern), bad)


@pytest.mark.parametrize(
    ("schema", "patterns"),
    [
        ({}, (ANY,)),
        ({"maxLength": 3}, ("(?s:.{0,3})",)),
        ({"minLength": 2}, ("(?s:.{2,})",)),
        ({"pattern": "^a$", "maxLength": 1}, ("(?:(?:a))", "(?s:.{0,1})")),
    ],
)
def test_what_a_schema_asks(schema: dict[str, Any], patterns: tuple[str, ...]) -> None:
    found = string_patterns(schema)
    assert len(found) == len(patterns)
    assert found[-1] == patterns[-1]


def test_what_cannot_be_enforced_is_left_out_if_that_is_allowed() -> None:
    schema = {"pattern": "(?=a)b"}
    assert string_patterns(schema, is_lenient=True) == (ANY,)
    assert string_patterns(schema) != (ANY,)


def test_whether_nothing_matches() -> None:
    assert may_be_empty([("a*",), ("b",)]) and may_be_empty([(ANY,)])
    assert not may_be_empty([("a*", "a{1,2}")]) and not may_be_empty([("(",)])
