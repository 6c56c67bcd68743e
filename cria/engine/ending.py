"""Why a sequence ends with its last token, or before its first one, and in which words."""

from __future__ import annotations

from typing import NamedTuple

from cria.engine.sequence import Sequence
from cria.ipc.messages import FinishReason

NO_TOKEN, NAN_TOKEN, FAILED_TOKEN = -1, -2, -3
"""What a runner returns in place of a token: none can be chosen; the logits are no numbers; what
chooses has failed."""


class Ending(NamedTuple):
    """The last output of a sequence."""

    reason: FinishReason
    tokens: tuple[int, ...] = ()
    error: str | None = None


def ending_of(sequence: Sequence, token: int, *, is_end: bool) -> Ending:
    """By this token, which `is_end` if it ends a generation; LENGTH if there is no other reason."""
    if token == NAN_TOKEN:
        return Ending(FinishReason.NAN, error="the logits are not numbers")
    if token == FAILED_TOKEN:
        return Ending(FinishReason.ERROR, error="its grammar failed")
    if token < 0 and sequence.matcher is not None:
        error = sequence.matcher.problem or "no token that it allows can be chosen"
        return Ending(FinishReason.REFUSED, error=error)
    if token < 0:
        return Ending(FinishReason.ERROR, error="no token can be chosen")
    if is_end:
        return Ending(FinishReason.STOP)
    return Ending(FinishReason.STOP if sequence.is_complete else FinishReason.LENGTH, (token,))


def why_refused(sequence: Sequence, context_size: int, *, is_new: bool) -> str | None:
    """What is wrong with a sequence that cannot be queued; None if it can."""
    size, params = len(sequence.prompt), sequence.params
    if not is_new:
        return f"request id {sequence.request_id} is in use"
    if not size:
        return "the prompt is empty"
    if size >= context_size + (not params.max_tokens):
        return f"the prompt has {size} tokens, and a sequence holds {context_size}"
    if params.max_tokens < 0:
        return f"max_tokens is {params.max_tokens}"
    return None
