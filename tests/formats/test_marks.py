from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cria.formats.marks import Found, Marks


def test_the_first_mark_and_the_longer_of_two() -> None:
    marks = Marks("ab", "abc", "b")
    assert marks.search("xabcd") == Found(1, "abc")
    assert marks.search("xabcd", 2) == Found(2, "b")


def test_the_beginning_of_a_mark_at_the_end() -> None:
    found = Marks("<tool>").search("a <to")
    assert found == Found(2)
    assert not found.is_whole
    assert Marks("<tool>").search("a <to b") == Found(7)


def test_no_marks_at_all() -> None:
    assert Marks().search("abc") == Marks("").search("abc") == Found(3)


@given(st.lists(st.text("ab<", min_size=1, max_size=4), max_size=4), st.text("ab<", max_size=12))
def test_it_finds_what_a_plain_search_finds(marks: list[str], text: str) -> None:
    found = Marks(*marks).search(text)
    whole = [text.find(mark) for mark in marks if mark in text]
    partial = [
        start for start in range(len(text)) if any(m.startswith(text[start:]) for m in marks)
    ]
    assert found.start == min([*whole, *partial, len(text)])
    if found.is_whole:
        assert text.startswith(found.mark, found.start)
