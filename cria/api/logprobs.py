"""Log probabilities in an answer: OpenAI's newer shape for chats, the older one for completions.

They are natural logarithms of the model's own probabilities, before biases, penalties and
temperature. JSON has no infinity: what is less likely than `LEAST` is shown as `LEAST`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

LEAST = -9999.0


class ScoredToken(NamedTuple):
    """One token of a text and how likely it was."""

    piece: bytes
    """How the token is written; of a control token its name, which is no part of the text."""
    is_text: bool
    logprob: float | None
    """None for the first token of a prompt, which follows nothing."""
    top: list[tuple[bytes, float]]
    """The most likely tokens at its place, by falling probability."""
    start: int
    """Characters of prompt and answer before it."""


class TopLogprob(msgspec.Struct, gc=False):
    """One of the most likely tokens at a place."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(msgspec.Struct, gc=False):
    """A token of a chat's answer; `bytes` is exact where `token` holds U+FFFD."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class ChatLogprobs(msgspec.Struct):
    """Of one choice, or of the text of one chunk."""

    content: list[TokenLogprob]
    refusal: None = None


class CompletionLogprobs(msgspec.Struct):
    """Of one choice, or of the text of one chunk: lists of one length."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]
    """In characters of the prompt and the text after it."""


def chat_logprobs(tokens: Iterable[ScoredToken] | None) -> ChatLogprobs | None:
    """The newer shape; None if nobody asked."""
    return None if tokens is None else ChatLogprobs([_chat_token(token) for token in tokens])


def completion_logprobs(tokens: Sequence[ScoredToken] | None) -> CompletionLogprobs | None:
    """The older shape; None if nobody asked.

    The token itself is always among the most likely ones, so that there may be one more of them
    than was asked for.
    """
    if tokens is None:
        return None
    return CompletionLogprobs(
        [_token_name(token.piece) for token in tokens],
        [None if token.logprob is None else finite(token.logprob) for token in tokens],
        [_top_by_name(token) for token in tokens],
        [token.start for token in tokens],
    )


def _chat_token(token: ScoredToken) -> TokenLogprob:
    logprob = LEAST if token.logprob is None else finite(token.logprob)
    top = [TopLogprob(_lossy(piece), finite(value), list(piece)) for piece, value in token.top]
    shown = list(token.piece) if token.is_text else None
    return TokenLogprob(_lossy(token.piece), logprob, shown, top)


def _top_by_name(token: ScoredToken) -> dict[str, float] | None:
    """Of two tokens that are written alike, the likelier one."""
    if token.logprob is None:
        return None
    named: dict[str, float] = {}
    for piece, value in [*token.top, (token.piece, token.logprob)]:
        named.setdefault(_token_name(piece), finite(value))
    return named


def _token_name(piece: bytes) -> str:
    """Its text; for a part of a code point OpenAI's `bytes:\\xe2`, since keys must differ."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)


def _lossy(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")


def finite(value: float) -> float:
    """A log probability that JSON can hold."""
    return value if value >= LEAST else LEAST  # which is also for what is no number
