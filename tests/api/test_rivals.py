from __future__ import annotations

import pytest

from cria.api.rivals import contradicting, outspoken, same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("max_tokens", "max_completion_tokens"),
        ("grammar", "response_format"),
        ("repeat_penalty", "repetition_penalty"),
        ("reasoning_effort", "reasoning.effort"),
    ],
)
def test_words_for_the_same(one: str, other: str) -> None:
    assert other in same(one) and one in same(other)
    assert other in outspoken(one) and one not in same(one)


def test_what_may_exclude_each_other() -> None:
    assert "min_tokens" in contradicting("max_tokens")
    assert "min_tokens" not in same("max_tokens")
    assert "reasoning_budget" in contradicting("enable_thinking")


def test_most_fields_stand_alone() -> None:
    assert same("temperature") == outspoken("top_p") == contradicting("user") == frozenset()
