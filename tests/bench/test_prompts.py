"""Prompts are new unless the seed says otherwise, and as long as asked for."""

from __future__ import annotations

import json

import pytest

from cria.bench.prompts import make_arrivals, make_body, make_long_prompt, make_prompts
from cria.bench.settings import Settings


def test_they_are_as_long_as_asked_for() -> None:
    settings = Settings(prompt_words=20, shared_words=30, long_prompt=1000)
    prompts = make_prompts(settings, 4, "k")
    assert [len(prompt.split()) for prompt in prompts] == [50] * 4
    assert len({prompt.split(" ", 30)[30] for prompt in prompts}) == 4
    assert len({tuple(prompt.split()[:30]) for prompt in prompts}) == 1
    assert len(make_long_prompt(settings, "k").split()) == 1000


def test_only_the_same_seed_and_key_give_the_same() -> None:
    first = make_prompts(Settings(seed=1), 2, "k")
    assert first == make_prompts(Settings(seed=1), 2, "k")
    others = make_prompts(Settings(seed=2), 2, "k") + make_prompts(Settings(seed=1), 2, "l")
    assert not set(first) & set(others)


def test_arrivals_have_the_rate() -> None:
    arrivals = make_arrivals(5000, 20.0, "k")
    assert arrivals[0] == 0.0
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == pytest.approx(5000 / 20, rel=0.1)


def test_a_body() -> None:
    body = json.loads(make_body(Settings(temperature=0.5), "m", "p", 9))
    assert body == {
        "model": "m",
        "prompt": "p",
        "max_tokens": 9,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
    }
    assert "ignore_eos" not in make_body(Settings(ignore_eos=False), "m", "p", 9)
