from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.prompt import template_guards as guards
from cria.prompt.render_limits import RenderLimit

TEXT = st.text(st.sampled_from("ab \t\n%{}é"), max_size=8)


@given(left=st.integers(-9, 9) | TEXT | st.floats(-9, 9), right=st.integers(-9, 9))
def test_operators_are_python_s(left: Any, right: int) -> None:
    for guarded, plain in (
        (guards.multiply, lambda a, b: a * b),
        (guards.power, lambda a, b: a**b),
        (guards.modulo, lambda a, b: a % b),
    ):
        assert outcome(guarded, left, right) == outcome(plain, left, right)


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return repr(function(*args))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return type(error)


@given(text=TEXT, other=TEXT, number=st.integers(-3, 9))
def test_methods_are_python_s(text: str, other: str, number: int) -> None:
    for name, args in (
        ("center", (number,)),
        ("zfill", (number,)),
        ("expandtabs", (number,)),
        ("replace", (other, "xyz")),
        ("replace", (other, "xyz", number)),
        ("strip", ()),
        ("lstrip", (other,)),
        ("split", ()),
        ("split", (other, number)),
        ("splitlines", (True,)),
        ("join", (["a", other],)),
        ("translate", ({97: other, 98: None},)),
    ):
        method = getattr(text, name)
        guarded = guards.guard_method(method)
        assert guarded is not None
        assert outcome(guarded, *args) == outcome(method, *args)


def test_methods_without_danger_are_left_alone() -> None:
    assert guards.guard_method("a".upper) is None
    assert guards.guard_method([].index) is None
    assert guards.guard_method({}.get) is None


def test_keywords_reach_the_method() -> None:
    guarded = guards.guard_method("a b".split)
    assert guarded is not None
    assert guarded(maxsplit=0) == ["a b"]


def test_a_format_is_refused_for_what_it_would_become() -> None:
    guards.check_percent("%s" * 50, ("a",) * 50)
    guards.check_percent("**%-20s** costs 100000 * 2", ("a",))
    with pytest.raises(RenderLimit):
        guards.check_percent("%s" * 1000, ("a" * 100_000,))


@given(text=st.text(st.sampled_from("a{}0:>1*"), max_size=9))
def test_formats_are_python_s(text: str) -> None:
    guarded = guards.guard_format(text, text.format)
    try:
        assert outcome(guarded, "x", 1) == outcome(text.format, "x", 1)
    except RenderLimit:
        assert re.search(r":[^{}]*\{", text)  # a width from an argument


@pytest.mark.parametrize("text", ["20240101 {}", "{{12345}}{:5}", "{0:>9}", "{{a:12345}}"])
def test_a_long_number_beside_a_place_is_no_width(text: str) -> None:
    assert guards.guard_format(text, text.format)("x") == text.format("x")


def test_large_texts_are_split_where_that_makes_few_pieces() -> None:
    guarded = guards.guard_method((" " * 2_000_000 + "x").split)
    assert guarded is not None
    assert len(guarded("x")) == 2
    with pytest.raises(RenderLimit):
        guarded(" ")


def test_written_values_pass_and_written_sums_are_text() -> None:
    assert guards.written([1]) == [1]
    assert guards.fits_written("a") == "a"
    assert guards.fits_written([1]) == "[1]"
    assert guards.fits_written(None) == "None"
    assert guards.join_texts((1, None, "a", [2])) == "1Nonea[2]"
