from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cria.formats.special import MARK, Special, SpecialTexts, unmarked

SPECIAL = SpecialTexts({"<a>": 1, "<ab>": 2, "<a><b>": 3, "": 4})


def test_the_longest_name_wins() -> None:
    assert SPECIAL.split("x<a><b><a>y") == ("x", Special(3, "<a><b>"), Special(1, "<a>"), "y")
    assert SPECIAL.split("") == ()


def test_a_vocabulary_without_control_tokens() -> None:
    assert SpecialTexts({}).split("<a>") == ("<a>",)


def test_marks() -> None:
    assert SPECIAL.marked("x<a>") == f"x{MARK}<a>"
    assert unmarked(SPECIAL.marked("x<a>")) == "x<a>"


def test_pieces_of_the_control_tokens_that_matter() -> None:
    pieces = [b"x", b"", b"", b""]
    assert SPECIAL.pieces(pieces, ["y<a>"]) == [b"x", f"{MARK}<a>".encode(), b"", b""]
    assert pieces[1] == b"", "the vocabulary's own stay as they are"


@given(st.text("<ab>x"))
def test_nothing_is_lost(text: str) -> None:
    parts = SPECIAL.split(text)
    assert "".join(p.text if isinstance(p, Special) else p for p in parts) == text
