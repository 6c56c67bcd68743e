from __future__ import annotations

from typing import Any

import pytest

from cria.formats.source import (
    MAX_SPACE,
    MAX_WORD,
    Reading,
    Source,
    read_literal,
    read_space,
    read_until,
    read_word,
    skip_exactly,
    trigger,
    try_literal,
)
from tests.every_split import splits


def run(source: Source, reading: Reading[Any], chunks: list[str]) -> Any:
    """What a reading returns that gets these chunks one by one, then the end."""
    rest = list(chunks)
    while True:
        try:
            next(reading)
        except StopIteration as stop:
            source.add("".join(rest))
            return stop.value
        if rest:
            source.add(rest.pop(0))
        else:
            assert not source.is_closed, "waits for more after the end"
            source.is_closed = True


@pytest.mark.parametrize(
    ("literal", "text", "rest"),
    [
        ("<a>", "<a>b", "b"),
        ("<a>\n{", "<a>{b", "b"),
        ('{"name": "', '{ "name" :"x', "x"),
        ("<a>\n", "<a>\nb", "\nb"),
        ("\nb", "b c", " c"),
        ("} x", " }x", ""),
        ("thought\n", "thought\na", "\na"),
        ("", "a", "a"),
        ("\n", " a", " a"),
    ],
)
def test_a_literal(literal: str, text: str, rest: str) -> None:
    for chunks in splits(text):
        source = Source()
        assert run(source, read_literal(source, literal), list(chunks)) is True
        assert source.text[source.pos :] == rest


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ("<a>", "<b>"),
        ("<a>", "< a>"),
        ("<a>", "<a"),
        ("<a> b", f"<a>{' ' * 2 * MAX_SPACE}b"),
        ("thought\n", "thoughtful"),
        ("\n", "a"),
    ],
)
def test_no_literal(literal: str, text: str) -> None:
    for chunks in splits(text):
        source = Source()
        assert run(source, read_literal(source, literal), list(chunks)) is False
        source = Source()
        assert run(source, try_literal(source, literal, literal), list(chunks)) is None
        assert source.text[source.pos :] == text


def test_a_literal_cut_by_the_end_leaves_nothing() -> None:
    source = Source()
    assert run(source, read_literal(source, "</tool>"), ["</to"]) is False
    assert source.is_over


def test_the_first_of_several() -> None:
    source = Source()
    assert run(source, try_literal(source, "ab", "ac", "a"), list("acd")) == 1
    assert source.text[source.pos :] == "d"


def test_what_certainly_comes_first() -> None:
    assert trigger('<tool_call>\n{"name": "') == "<tool_call>"
    assert trigger('[{"a": ') == "["
    assert trigger(" \n") == ""


def test_words() -> None:
    for text, word in [("get_a-b.c(", "get_a-b.c"), ("(", ""), ("ab", "ab")]:
        source = Source()
        assert run(source, read_word(source), list(text)) == word
    source = Source()
    assert run(source, read_word(source), ["a" * (MAX_WORD + 1)]) == ""


def test_blanks() -> None:
    source = Source()
    assert run(source, read_space(source), [" ", "\n", "a"]) == " \n"
    assert source.text[source.pos :] == "a"


@pytest.mark.parametrize("text", ["a<b</b> c", "</b>", "a<b", ""])
def test_text_up_to_a_mark(text: str) -> None:
    before, mark, after = text.partition("</b>")
    for chunks in splits(text):
        source, found = Source(), list[str]()
        number = run(source, read_until(source, ["<x>", "</b>"], found.append), list(chunks))
        assert number == (1 if mark else None)
        assert ("".join(found), source.text[source.pos :]) == (before, after)


def test_text_up_to_a_mark_has_a_limit() -> None:
    for chunks in splits("a" * 30 + ">" * 20):
        source = Source()
        reading = read_until(source, [">"], lambda text: None, 10)
        assert run(source, reading, list(chunks)) is None
        assert not source.is_over
    for chunks in splits("a" * 9 + "<end>" + "b" * 20):
        source = Source()
        assert run(source, read_until(source, ["<end>"], lambda text: None, 10), list(chunks)) == 0


def test_holds_can_be_nested() -> None:
    source = Source()
    source.add("abcd")
    source.hold()
    source.pos = 1
    source.hold()
    source.pos = 3
    source.add("e")
    source.back()
    assert source.text[source.pos :] == "bcde"
    source.add("f")
    source.back()
    assert source.text[source.pos :] == "abcdef"
    source.pos = 2
    source.add("g")
    assert source.text == "cdefg"


def test_blanks_that_belong_to_a_mark() -> None:
    for chunks in splits("a\n\n</b>c"):
        source, found = Source(), list[str]()
        assert run(source, read_until(source, ["\n</b>"], found.append), list(chunks)) == 0
        assert "".join(found) == "a\n"


def test_passing_a_text() -> None:
    for text, rest in [("\n\na", "\na"), ("a", "a"), ("", "")]:
        source = Source()
        run(source, skip_exactly(source, "\n"), list(text))
        assert source.text[source.pos :] == rest
