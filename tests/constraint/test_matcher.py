from __future__ import annotations

import numpy as np

from cria.constraint import sources
from tests.constraint.byte_grammars import END, NUM_WORDS, make_compiler


def bits() -> np.ndarray:
    return np.zeros((1, NUM_WORDS), np.int32)


def allowed(array: np.ndarray) -> set[int]:
    return set(np.flatnonzero(np.unpackbits(array.view(np.uint8), bitorder="little")).tolist())


def test_a_refused_token_leaves_it_where_it_was() -> None:
    matcher = make_compiler().matcher(sources.from_choice(["ab", "ac"]))
    assert not matcher.take(ord("b")) and not matcher.take(-1)
    assert matcher.take(ord("a"))
    array = bits()
    matcher.fill_allowed(array)
    assert allowed(array) == {ord("b"), ord("c")}
    assert matcher.take(ord("c")) and matcher.is_over and not matcher.problem


def test_the_end_may_come_where_more_may_come_too() -> None:
    matcher = make_compiler().matcher(sources.from_regex("a+"))
    assert not matcher.take(END)
    assert matcher.take(ord("a")) and not matcher.is_over
    assert matcher.take(END) and matcher.is_over


def test_an_ambiguous_grammar_is_given_up_before_it_holds_others_up_for_long() -> None:
    source = sources.from_grammar('start: s\ns: s s s | s s | "a" | "b"')
    matcher, array = make_compiler().matcher(source), bits()
    for _ in range(2000):
        matcher.take(ord("a"))
        matcher.fill_allowed(array)
        if matcher.problem:
            break
    assert "too l" in matcher.problem
