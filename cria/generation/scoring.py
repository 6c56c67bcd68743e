"""Where a continuation begins among the tokens of a prompt and what follows it."""

from __future__ import annotations

from typing import NamedTuple

from cria.api.score import ScoreRequest
from cria.prompt.tokenizer import Tokenizer


class Scored(NamedTuple):
    """A prompt with one continuation."""

    token_ids: list[int]
    first: int
    """The first token of the continuation, 1 or more: its probability depends on what is before."""
    text: str = ""
    """Of all tokens; empty if they were not text."""


def scored_prompts(tokenizer: Tokenizer, request: ScoreRequest) -> list[Scored]:
    """One for each continuation; RequestError for ids that are not in the vocabulary.

    Text is tokenised together with the prompt, as the model has seen such text, so that the first
    token of the continuation may hold the prompt's last letters too; by itself where nothing of the
    prompt would be left before it.
    """
    if isinstance(request.prompt, str):
        start = tokenizer.encode_text(request.prompt)
        texts = (text for text in request.continuations if isinstance(text, str))
        return [_scored_text(tokenizer, request.prompt, start, text) for text in texts]
    tokenizer.check_ids(request.prompt, "prompt")
    scored = []
    for index, token_ids in enumerate(request.continuations):
        assert isinstance(token_ids, list)
        tokenizer.check_ids(token_ids, f"continuations[{index}]")
        scored.append(Scored([*request.prompt, *token_ids], len(request.prompt)))
    return scored


def _scored_text(tokenizer: Tokenizer, prompt: str, start: list[int], text: str) -> Scored:
    token_ids = tokenizer.encode_text(prompt + text)
    if not prompt and token_ids[:1] != start:
        token_ids = [*start, *token_ids]  # the token that an empty prompt is
    first = _common_length(start, token_ids)
    if not 0 < first < len(token_ids):
        alone = tokenizer.encode_parts(
            [text], "continuations", add_special=False, parse_special=True
        )
        token_ids, first = [*start, *alone], len(start)
    return Scored(token_ids, first, prompt + text)


def _common_length(one: list[int], other: list[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
