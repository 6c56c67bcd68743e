from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cria.errors import RequestError
from cria.prompt.control_text import ControlText, choose_seam, map_strings, strings_of

SEAM = "\U000f0000"


def test_texts_are_found_at_any_depth() -> None:
    texts = ControlText(["<|im_end|>", "<s>"])
    assert texts.occurs_in([{"content": "x <|im_end|> y"}])
    assert texts.occurs_in({"arguments": {"<s>": 1}})
    assert not texts.occurs_in([{"content": "<|im_end>", "n": 1, "x": None}])


def test_without_control_tokens_nothing_is_found() -> None:
    assert not ControlText([]).occurs_in("anything")
    assert not ControlText(["", "x"]).occurs_in("x")


def test_every_value_but_strings_stays() -> None:
    texts = ControlText(["<s>"])
    value = {"a": ["<s>", 1, None, True, 0.5], "b": {"<s>": "plain"}}
    cut = texts.cut(value, "|")
    assert cut == {"a": ["<|s>", 1, None, True, 0.5], "b": {"<|s>": "plain"}}
    assert value["a"][0] == "<s>"  # type: ignore[index]  # a copy was cut


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        (["<a><b>", "<b>"], "<a><b>"),
        (["<s>", "<s>x"], "<s>x"),
        (["aa"], "aaaa"),
        (["[INST]", "[/INST]", "[IMG]"], "[INST][/INST][IMG]"),
        (["a.b", "a*"], "a.b a*"),
        (["日本"], "日本"),
    ],
)
def test_no_piece_holds_a_whole_control_text(texts: list[str], text: str) -> None:
    pieces = ControlText(texts).cut(text, SEAM).split(SEAM)
    assert "".join(pieces) == text
    assert not [t for t in texts for piece in pieces if t in piece]


CONTROL_TEXTS = st.lists(st.text("<>ab", min_size=2, max_size=5), min_size=1, max_size=4)


@settings(deadline=None)  # compiles a pattern in each example
@given(CONTROL_TEXTS, st.text("<>ab", max_size=12))
def test_any_text_is_cut_where_it_has_to_be(texts: list[str], text: str) -> None:
    control_text = ControlText(texts)
    assert control_text.occurs_in(text) == any(t in text for t in texts)
    pieces = control_text.cut(text, SEAM).split(SEAM)
    assert "".join(pieces) == text
    assert not [t for t in texts for piece in pieces if t in piece]


def test_a_thousand_control_tokens_cost_little() -> None:
    texts = ControlText(f"<SPECIAL_{i}>" for i in range(1000))
    start = time.perf_counter()
    assert not texts.occurs_in("<" * 200_000 + "<SPECIAL_9" * 20_000)
    assert time.perf_counter() - start < 0.5


def test_the_seam_occurs_nowhere() -> None:
    assert choose_seam([]) == SEAM
    assert choose_seam(["x" + SEAM, "\U000f0001"]) == "\U000f0002"


def test_without_a_free_character_the_request_is_refused() -> None:
    with pytest.raises(RequestError):
        choose_seam(["".join(map(chr, range(0xF0000, 0xFFFFE)))])


@given(
    st.recursive(
        st.none() | st.booleans() | st.text("ab", max_size=2),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_walking_finds_what_mapping_changes(value: Any) -> None:
    assert map_strings(value, str) == value
    changed = map_strings(value, lambda text: text + "!")
    assert sorted(strings_of(changed)) == sorted(text + "!" for text in strings_of(value))
