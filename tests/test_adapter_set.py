"""One spelling of each set."""

from __future__ import annotations

from cria.adapter_set import BASE, make_set


def test_equal_sets_are_spelled_alike() -> None:
    assert make_set({2: 0.5, 1: 1}) == make_set({1: 1.0, 2: 0.5}) == ((1, 1.0), (2, 0.5))
    assert make_set({1: 0.1}) == make_set({1: 0.1 + 1e-12}), "llama.cpp has 32 bits"


def test_who_does_not_act_is_not_in_it() -> None:
    assert make_set({0: 0.0, 1: 1e-60, 2: -0.0}) == BASE == make_set({})
