from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.output.detokenizer import Detokenizer
from tests.every_split import check_every_split

BYTES = [bytes([value]) for value in range(256)]


@pytest.mark.parametrize("text", ["", "plain", " Hello", "é", "日本語", "🙂👍🏽", "a🙂b"])
def test_code_points_are_never_cut(text: str) -> None:
    check_every_split(lambda: Detokenizer(BYTES), list(text.encode()), text)


@given(st.binary(max_size=40))
def test_any_bytes_give_what_decoding_the_whole_gives(data: bytes) -> None:
    check_every_split(lambda: Detokenizer(BYTES), list(data), data.decode(errors="replace"))


def test_text_leaves_with_its_last_byte() -> None:
    detokenizer = Detokenizer(BYTES)
    first, second, third = "€".encode()
    assert detokenizer.feed([first, second]) == ""
    assert detokenizer.feed([third]) == "€"
    assert detokenizer.flush() == ""


def test_an_unfinished_code_point_is_replaced_at_the_end() -> None:
    detokenizer = Detokenizer(BYTES)
    assert detokenizer.feed("🙂".encode()[:3]) == ""
    assert detokenizer.flush() == "\ufffd"


def test_control_tokens_have_no_text_and_a_leading_space_is_kept() -> None:
    detokenizer = Detokenizer([b"", b" Hello", b" world"])
    assert detokenizer.feed([0, 1, 2, 0]) == " Hello world"
