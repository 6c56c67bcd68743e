from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.formats.json_text import read_json_text, without_surrogates
from cria.formats.source import Source
from tests.every_split import splits
from tests.formats.test_source import run


def read(chunks: list[str]) -> tuple[str, bool]:
    source, found = Source(), list[str]()
    is_complete = run(source, read_json_text(source, found.append), chunks)
    return "".join(found), is_complete


@given(st.text(st.characters(codec="utf-8")), st.booleans())
def test_any_text(text: str, is_ascii: bool) -> None:
    written = json.dumps(text, ensure_ascii=is_ascii)[1:]
    assert read([written]) == read(list(written)) == (text, True)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"\ud83d x", "\ufffd x"),
        (r"\ud83d\n", "\ufffd\n"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
        (r"\ude00", "\ufffd"),
        (r"\u12x", r"\u12x"),
        (r"\q", r"\q"),
    ],
)
def test_what_is_no_text(written: str, text: str) -> None:
    for chunks in splits(written + '"'):
        assert read(list(chunks)) == (text, True)


@pytest.mark.parametrize(("written", "text"), [("a", "a"), ("a\\", "a\\"), ("\\u00", "\\u00")])
def test_a_text_that_is_cut(written: str, text: str) -> None:
    for chunks in splits(written):
        assert read(list(chunks)) == (text, False)


def test_surrogates() -> None:
    assert without_surrogates("a\ud83d\ude00\ud83d") == "a😀\ufffd"
