from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.output.stop_strings import StopStrings
from tests.every_split import check_every_split, run_stage, splits


def cut_naively(text: str, stops: list[str]) -> tuple[str, str | None]:
    """Read character by character until some stop string is complete."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            longest = max(complete, key=len)
            return text[: end - len(longest)], longest
    return text, None


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("", ["x"], ""),
        ("no stops", [], "no stops"),
        ("abcSTOPdef", ["STOP"], "abc"),
        ("abcSTO", ["STOP"], "abcSTO"),
        ("STOP", ["STOP"], ""),
        ("SSTOP", ["STOP"], "S"),
        ("aaab", ["aab"], "a"),
        ("abcd", ["abcd", "bc"], "a"),
        ("xabc", ["c", "bc", "abc"], "x"),
        ("one\n\ntwo", ["\n\n"], "one"),
        ("ab\nab\nUser:", ["\nUser:", "ab\nb"], "ab\nab"),
        ("日本語です", ["語で"], "日本"),
    ],
)
def test_text_ends_before_the_first_complete_stop_string(
    text: str, stops: list[str], expected: str
) -> None:
    assert cut_naively(text, stops)[0] == expected
    check_every_split(lambda: StopStrings(stops), text, expected)


@given(
    st.text("ab", max_size=14),
    st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
)
def test_it_agrees_with_a_naive_reader(text: str, stops: list[str]) -> None:
    expected, matched = cut_naively(text, stops)
    for pieces in splits(text):
        stage = StopStrings(stops)
        assert run_stage(stage, pieces) == expected
        assert stage.matched == matched


@given(st.text("ab", max_size=14), st.lists(st.text("ab", min_size=1, max_size=4), min_size=1))
def test_only_a_partial_match_is_held_back(text: str, stops: list[str]) -> None:
    stage = StopStrings(stops)
    released = stage.feed(text)
    held = text[len(released) :]
    if stage.matched is None:
        beginnings = {stop[:length] for stop in stops for length in range(1, len(stop))}
        longest = max((b for b in beginnings if text.endswith(b)), key=len, default="")
        assert held == longest


def test_after_a_match_everything_is_dropped() -> None:
    stage = StopStrings(["."])
    assert stage.feed("One. Two") == "One"
    assert stage.matched == "."
    assert stage.feed("three") == ""
    assert stage.flush() == ""


def test_without_stop_strings_nothing_is_held_back() -> None:
    stage = StopStrings([])
    assert stage.feed("text") == "text"
    assert stage.flush() == ""
    assert stage.matched is None


def test_long_stop_strings_that_nearly_match_cost_little() -> None:
    stage = StopStrings(["a" * 20_000 + "b"])
    start = time.perf_counter()
    for _ in range(2_000):
        stage.feed("aaaa")
    assert time.perf_counter() - start < 1
    assert stage.flush() == "a" * 8_000
