"""What an answer says about itself, and its choices, whichever route it leaves by."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cria.api.logprobs import ScoredToken


class ResponseHead(msgspec.Struct, frozen=True):
    """The same in every chunk of a stream."""

    id: str
    created: int
    """Unix seconds."""
    model: str
    system_fingerprint: str
    service_tier: str | None = None
    """How the request was treated, if it asked for a tier."""


class Call(msgspec.Struct, frozen=True):
    """One tool call, complete unless the answer was cut."""

    id: str
    name: str
    arguments: str
    """JSON text of an object; of a custom tool, any text."""
    kind: str = "function"


class Choice(msgspec.Struct, frozen=True):
    """One finished generation."""

    index: int
    text: str
    finish_reason: str
    tokens: tuple[ScoredToken, ...] | None = None
    """Of the text, with their log probabilities; None if nobody asked."""
    num_echoed: int = 0
    """How many of them are the prompt's."""
    token_ids: tuple[int, ...] | None = None
    """What was generated, if the request asked for it; so the next one."""
    prompt_token_ids: Sequence[int] | None = None
    reasoning: str = ""
    """What the model thought before it answered, where that is told from the answer."""
    calls: tuple[Call, ...] = ()
    stop_string: str | None = None
    """The one that ended it, if one has."""
