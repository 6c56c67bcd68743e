from __future__ import annotations

import pytest

from cria.formats.bracketed import read_bracketed
from cria.formats.source import Source
from tests.every_split import splits
from tests.formats.test_source import run


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("5", ", b"),
        ("'a,)\\'b'", ")"),
        ('"\\\\"', ")"),
        ("[1, (2)]", "]"),
        ("{'a': ['}']}", "}"),
        ("", ")"),
    ],
)
def test_a_python_value(text: str, rest: str) -> None:
    for chunks in splits(text + rest):
        source = Source()
        assert run(source, read_bracketed(source, ("'", '"'), True), list(chunks)) == text
        assert source.text[source.pos :] == rest


@pytest.mark.parametrize("text", ['<|"|>a},\\<|"|>', '{a:<|"|>]<|"|>,b:1}'])
def test_a_value_with_another_quote(text: str) -> None:
    for chunks in splits(text + "}"):
        source = Source()
        assert run(source, read_bracketed(source, ('<|"|>',), False), list(chunks)) == text


@pytest.mark.parametrize("text", ["5", "'a", "[1,", "'\\"])
def test_a_value_that_is_cut(text: str) -> None:
    for chunks in splits(text):
        source = Source()
        assert run(source, read_bracketed(source, ("'", '"'), True), list(chunks)) is None
