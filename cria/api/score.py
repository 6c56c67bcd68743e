"""`POST /v1/score`: how likely each of several continuations of one prompt is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from cria.api.decoding import RequestBody
from cria.api.generation_request import MAX_CHOICES
from cria.api.head import Choice, ResponseHead
from cria.api.logprobs import CompletionLogprobs, ScoredToken, completion_logprobs, finite
from cria.api.lora import LoraChoices
from cria.api.token_input import TokenIds
from cria.api.usage import Usage, UsageObject, usage_object
from cria.errors import RequestError

Text = Annotated[str, Meta(min_length=1)]


class ScoreRequest(RequestBody, kw_only=True):
    """A prompt and what might follow it, all as text or all as token ids."""

    NOTED: ClassVar[frozenset[str]] = frozenset({"user"})

    model: str
    prompt: str | TokenIds
    continuations: Annotated[list[Text | TokenIds], Meta(min_length=1, max_length=MAX_CHOICES)]
    logprobs: bool = False
    """Show the tokens too."""
    lora: LoraChoices = msgspec.field(default_factory=list)
    """As for completions."""
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    user: str | None = None

    def __post_init__(self) -> None:
        kind = type(self.prompt)
        for index, continuation in enumerate(self.continuations):
            if type(continuation) is not kind:
                raise RequestError(
                    "Invalid type for 'continuations': they have to be what 'prompt' is, text or "
                    "arrays of token ids.",
                    param=f"continuations[{index}]",
                    code="invalid_type",
                )


class Score(msgspec.Struct, tag_field="object", tag="score"):
    """Of one continuation."""

    index: int
    logprob: float
    """Of all its tokens together: the sum of their natural logarithms."""
    num_tokens: int
    is_greedy: bool
    """Each of its tokens is the most likely one at its place."""
    logprobs: CompletionLogprobs | msgspec.UnsetType = msgspec.UNSET


class ScoreList(msgspec.Struct, tag_field="object", tag="list"):
    """In the order of the request."""

    id: str
    created: int
    model: str
    data: list[Score]
    usage: UsageObject


def score_of(choice: Choice, *, with_tokens: bool) -> Score:
    """The score of a continuation, whose tokens are the choice's."""
    tokens = choice.tokens or ()
    shown = completion_logprobs(tokens) if with_tokens else None
    return Score(
        index=choice.index,
        logprob=sum(finite(token.logprob or 0.0) for token in tokens),
        num_tokens=len(tokens),
        is_greedy=all(_is_most_likely(token) for token in tokens),
        logprobs=shown or msgspec.UNSET,
    )


def encode_scores(
    head: ResponseHead, choices: Sequence[Choice], usage: Usage, *, with_tokens: bool
) -> bytes:
    """The body of the answer; `choices` has one for each continuation."""
    scores = [score_of(choice, with_tokens=with_tokens) for choice in choices]
    answer = ScoreList(head.id, head.created, head.model, scores, usage_object(usage))
    return msgspec.json.encode(answer)


def _is_most_likely(token: ScoredToken) -> bool:
    return bool(token.top) and token.logprob == token.top[0][1]
