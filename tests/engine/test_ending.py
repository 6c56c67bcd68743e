from __future__ import annotations

import pytest

from cria.engine.ending import FAILED_TOKEN, NAN_TOKEN, NO_TOKEN, ending_of, why_refused
from cria.engine.sequence import Sequence
from cria.ipc.messages import FinishReason, Submit
from cria.sampling_params import SamplingParams


def sequence(num_tokens: int = 1, max_tokens: int = 5) -> Sequence:
    return Sequence(Submit(1, [7] * num_tokens, SamplingParams(max_tokens=max_tokens)))


@pytest.mark.parametrize(
    ("token", "is_end", "reason", "tokens"),
    [
        (5, False, FinishReason.LENGTH, (5,)),
        (5, True, FinishReason.STOP, ()),
        (NO_TOKEN, True, FinishReason.ERROR, ()),
        (NAN_TOKEN, True, FinishReason.NAN, ()),
        (FAILED_TOKEN, True, FinishReason.ERROR, ()),
    ],
)
def test_endings(token: int, is_end: bool, reason: FinishReason, tokens: tuple[int, ...]) -> None:
    assert ending_of(sequence(), token, is_end=is_end)[:2] == (reason, tokens)


@pytest.mark.parametrize(
    ("num_tokens", "max_tokens", "words"),
    [(0, 5, "empty"), (8, 5, "8 tokens"), (9, 0, "9 tokens"), (1, -1, "max_tokens")],
)
def test_what_cannot_be_queued(num_tokens: int, max_tokens: int, words: str) -> None:
    assert words in (why_refused(sequence(num_tokens, max_tokens), 8, is_new=True) or "")


def test_what_can_be() -> None:
    assert why_refused(sequence(7), 8, is_new=True) is None
    assert why_refused(sequence(8, 0), 8, is_new=True) is None
    assert "in use" in (why_refused(sequence(), 8, is_new=False) or "")
