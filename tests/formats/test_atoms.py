from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cria.formats.atoms import atoms, common_prefix, common_suffix


def test_marks_are_whole() -> None:
    assert atoms('<|call|>[ARGS]{"ab": 12') == [
        "<|call|>", "[ARGS]", "{", '"', "ab", '"', ":", " ", "12",
    ]  # fmt: skip


def test_what_is_common_ends_at_no_half_mark() -> None:
    assert common_prefix("x<|call_end|>", "x<|calls_end|>") == "x"
    assert common_suffix("<|a_begin|>f", "<|b_begin|>f") == "f"


@given(st.text(), st.text(), st.text())
def test_common_texts(one: str, common: str, other: str) -> None:
    assert "".join(atoms(one)) == one
    prefix, suffix = common_prefix(one, other), common_suffix(one, other)
    assert one.startswith(prefix) and other.startswith(prefix)
    assert one.endswith(suffix) and other.endswith(suffix)
    assert common_prefix(common, common) == common == common_suffix(common, common)
