"""The tokens of an answer that shows them: which token made which part of its text.

Text leaves later than its tokens come: a code point may need several, and a stop string may be
about to match. A token is handed out with the text that its bytes are part of.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from cria.api.logprobs import ScoredToken
from cria.logprobs import TokenLogprobs


class TokenTexts(NamedTuple):
    """The bytes of every token of a vocabulary."""

    pieces: Sequence[bytes]
    """As they appear in text: none for control tokens."""
    spelled: Sequence[bytes]
    """Control tokens by name."""


class Display(NamedTuple):
    """What an answer shows beside the text that is generated."""

    texts: TokenTexts | None = None
    """None shows no tokens."""
    prompt_text: str = ""
    echo: bool = False
    """The answer begins with the prompt."""
    first_token: int = 0
    """Of the prompt, the first to be shown with it."""


PLAIN = Display()


class _Waiting(NamedTuple):
    """A token whose text has not left yet."""

    token: ScoredToken
    begin: int
    end: int
    """Characters of the answer: the one that it begins, if not its last byte is there, counts."""


class Decoded(Protocol):
    """How far the text of the answer is."""

    @property
    def num_decoded(self) -> int: ...
    @property
    def num_released(self) -> int: ...
    @property
    def is_partial(self) -> bool: ...
    @property
    def stopped(self) -> bool: ...


class AnswerTokens:
    """Of one choice."""

    def __init__(self, texts: TokenTexts, output: Decoded, num_characters_before: int) -> None:
        self._texts = texts
        self._output = output
        self._before = num_characters_before
        self._waiting: deque[_Waiting] = deque()

    def add(self, token_ids: Sequence[int], logprobs: TokenLogprobs | None, begin: int) -> None:
        """The output has just been fed this token, one or none, and had decoded `begin` characters
        before; then `take`.
        """
        end = self._output.num_decoded + self._output.is_partial
        for token_id in token_ids:
            token = scored_token(self._texts, token_id, logprobs, self._before + begin)
            self._waiting.append(_Waiting(token, begin, end))

    def take(self, *, is_final: bool) -> tuple[ScoredToken, ...]:
        """The tokens of the text that has left; finally all that are no part of a stop string."""
        waiting, released = self._waiting, self._output.num_released
        taken = []
        while waiting and self._has_left(waiting[0], released, is_final):
            taken.append(waiting.popleft().token)
        return tuple(taken)

    def _has_left(self, first: _Waiting, released: int, is_final: bool) -> bool:
        if not is_final:
            return first.end <= released
        return first.begin < released or not self._output.stopped


def scored_token(
    texts: TokenTexts, token_id: int, logprobs: TokenLogprobs | None, start: int
) -> ScoredToken:
    """A token with its bytes instead of its id."""
    top = [] if logprobs is None else [(texts.spelled[t], value) for t, value in logprobs.top]
    return ScoredToken(
        texts.spelled[token_id],
        bool(texts.pieces[token_id]),
        None if logprobs is None else logprobs.logprob,
        top,
        start,
    )


def prompt_tokens(
    display: Display, token_ids: Sequence[int], logprobs: Iterable[TokenLogprobs]
) -> tuple[ScoredToken, ...]:
    """The tokens of a prompt that are shown, whose log probabilities begin with that of the first
    one that follows another; without any, the tokens are shown alone.
    """
    texts, values, shown = display.texts, iter(logprobs), []
    if texts is None:
        return ()
    starts = starts_in(display.prompt_text, [texts.spelled[token_id] for token_id in token_ids])
    for index, (token_id, start) in enumerate(zip(token_ids, starts, strict=True)):
        if index >= display.first_token:
            value = next(values, None) if index else None
            shown.append(scored_token(texts, token_id, value, start))
    return tuple(shown)


def starts_in(text: str, pieces: Iterable[bytes]) -> Iterator[int]:
    """At which character of the text each piece begins.

    Not every piece is a part of the text: a token that the server put in front is none, nor is the
    space with which some vocabularies begin every text. These begin where the next one does.
    """
    data, at, num_characters = text.encode(), 0, 0
    for piece in pieces:
        is_inside = at < len(data) and data[at] & 0xC0 == 0x80  # of a code point of several bytes
        yield num_characters - is_inside
        if not data.startswith(piece, at):
            piece = piece[1:] if at == 0 and piece[:1] == b" " else b""
            piece = piece if data.startswith(piece, at) else b""
        num_characters += sum(byte & 0xC0 != 0x80 for byte in piece)
        at += len(piece)
