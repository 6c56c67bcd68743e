from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.constraint.matcher import Matcher
from cria.constraint.sources import Budget, split_budget, with_budget
from tests.constraint.byte_grammars import NUM_WORDS, MarkedBytes, make_compiler, takes

CLOSE = "</think>"
THINKS = json.dumps({"grammars": [{"lark_grammar": 'start: a "!"\na[lazy]: /(?s:.*)<\\/think>/'}]})
MAY_THINK = json.dumps(
    {
        "grammars": [
            {
                "lark_grammar": "start: (/ {0,8}<think>/ a)? T\n"
                "a[lazy]: /(?s:.*)<\\/think>/\nT: /(?s:.*)/ & ~/ *<think>(?s:.*)/"
            }
        ]
    }
)
COMPILER = make_compiler()


def budgeted(num_tokens: int, *, is_open: bool = True) -> Matcher:
    budget = Budget(num_tokens, "" if is_open else "<think>", CLOSE)
    return COMPILER.matcher(with_budget(THINKS if is_open else MAY_THINK, budget))


def allowed(matcher: Matcher) -> set[int]:
    bits = np.zeros((1, NUM_WORDS), np.int32)
    matcher.fill_allowed(bits)
    return set(np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little")).tolist())


def followed(matcher: Matcher, wishes: bytes) -> bytes:
    """The answer of a model that wants these bytes, as far as it may have them."""
    answer = bytearray()
    for wish in wishes:
        if matcher.is_over:
            break
        if not matcher.take(wish):
            wish = min(allowed(matcher))
            assert matcher.take(wish)
        answer.append(wish)
    return bytes(answer)


@pytest.mark.parametrize(("size", "good"), [(0, True), (4, True), (5, True), (6, False)])
def test_as_many_tokens_and_then_the_end(size: int, good: bool) -> None:
    assert takes(budgeted(5), "x" * size + "</think>!") == good


def test_nothing_but_the_end_is_allowed() -> None:
    matcher = budgeted(2)
    assert followed(matcher, b"abcdefghijk") == b"ab</think>!"


def test_an_end_that_has_begun_is_gone_on_with() -> None:
    assert followed(budgeted(4), b"ab</xxxxxxx") == b"ab</think>!"
    assert followed(budgeted(3), b"</think>!") == b"</think>!"


def test_a_code_point_is_completed_first() -> None:
    matcher = budgeted(2)
    assert followed(matcher, "aéxxxxxxxxx".encode()) == "aé</think>!".encode()


def test_thinking_that_the_answer_begins() -> None:
    assert takes(budgeted(3, is_open=False), "  <think>abc</think>Hi </think> there")
    assert not takes(budgeted(3, is_open=False), "<think>abcd</think>Hi")
    assert takes(budgeted(3, is_open=False), "Hi there, this is long <think> or not")


@given(st.text(max_size=30), st.integers(1, 12), st.booleans())
def test_whatever_a_model_wants_its_thinking_ends(
    wishes: str, num_tokens: int, is_open: bool
) -> None:
    begin = b"" if is_open else b"<think>"
    matcher = budgeted(num_tokens, is_open=is_open)
    answer = followed(matcher, begin + wishes.encode() + b"x" * 60).removeprefix(begin)
    thought, close, _ = answer.partition(CLOSE.encode())
    assert close and len(thought) <= num_tokens + 3  # the rest of a code point
    assert thought.decode() is not None


def test_a_mark_of_one_token() -> None:
    vocabulary = MarkedBytes([], [CLOSE, "word"])
    close, word = vocabulary(CLOSE + "word")
    matcher = vocabulary.compiler.matcher(with_budget(THINKS, Budget(2, "", CLOSE)))
    assert matcher.take(word) and matcher.take(word)
    assert not matcher.take(word) and not matcher.take(ord("<"))
    assert allowed(matcher) == {close}
    assert matcher.take(close) and matcher.take(ord("!")) and matcher.is_over


def test_a_grammar_by_itself() -> None:
    assert split_budget("start: /a/") == ("start: /a/", None)
    assert split_budget(THINKS) == (THINKS, None)
    source, budget = split_budget(with_budget(THINKS, Budget(1, "<a>", "</a>")))
    assert json.loads(source) == json.loads(THINKS)
    assert budget == Budget(1, "<a>", "</a>")
    assert takes(COMPILER.matcher(THINKS), "x" * 99 + "</think>!")
