"""The limits themselves; that requests are held to them is in test_pipeline.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cria.api.completions import CompletionRequest
from cria.api.decoding import decode
from cria.errors import ContextLengthExceeded, RequestError
from cria.generation.answer_tokens import PLAIN, Display
from cria.generation.limits import (
    check_length,
    check_num_scored,
    check_num_shown,
    clamped,
    prompt_source,
)
from cria.generation.overflow import Prompt
from tests.generation.fake_engine import READY

PROMPT = Prompt([5] * 30, 30)


def completion(**fields: Any) -> CompletionRequest:
    return decode(json.dumps({"model": "m", "prompt": "x", **fields}).encode(), CompletionRequest)[
        0
    ]


def test_a_prompt_leaves_room_for_a_token() -> None:
    check_length(READY, [5] * 31, "prompt")
    check_length(READY, [5] * 32, "prompt", num_more=0)
    for size, more in ((32, 1), (33, 0)):
        with pytest.raises(ContextLengthExceeded):
            check_length(READY, [5] * size, "prompt", num_more=more)


def test_the_context_ends_before_a_limit() -> None:
    assert clamped(READY, completion(max_tokens=2), 30) == ()
    assert clamped(READY, completion(max_tokens=3), 30) == ("max_tokens",)
    assert clamped(READY, completion(max_tokens=9, min_tokens=5), 30) == (
        "max_tokens",
        "min_tokens",
    )
    shifting = completion(max_tokens=99, context_overflow="shift")
    assert clamped(READY, shifting, 30) == ()


@pytest.mark.parametrize(("display", "num_tokens"), [(PLAIN, 2), (Display(echo=True), 32)])
def test_what_an_answer_shows_at_most(
    monkeypatch: pytest.MonkeyPatch, display: Display, num_tokens: int
) -> None:
    request = completion(logprobs=4, n=3, max_tokens=1000)
    for limit, fits in ((15 * num_tokens, True), (15 * num_tokens - 1, False)):
        monkeypatch.setattr("cria.generation.limits.MAX_SHOWN_LOGPROBS", limit)
        if fits:
            check_num_shown(READY, request, [(PROMPT, display)])
        else:
            with pytest.raises(RequestError, match=f"could have {15 * num_tokens} log"):
                check_num_shown(READY, request, [(PROMPT, display)])
    check_num_shown(READY, completion(n=128), [(PROMPT, display)] * 16)


def test_what_scores_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cria.generation.limits.MAX_SHOWN_LOGPROBS", 10)
    check_num_scored(5)
    with pytest.raises(RequestError):
        check_num_scored(6)


def test_a_prompt_of_tools_is_named_so() -> None:
    assert prompt_source(completion()) == ""
    with pytest.raises(ContextLengthExceeded, match="your messages and tools resulted in 32") as e:
        check_length(READY, [5] * 32, "messages", made_of="messages and tools")
    assert e.value.param == "messages"
