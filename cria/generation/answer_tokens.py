"""The tokens of an answer that shows them: which token made which part of its text.

Text leaves later than its tokens come: a code point may need several, and a stop string may be
about to match. A token is handed out with the text that its bytes are part of.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cria.api.logprobs import ScoredToken
from cria.logprobs import TokenLogprobs
from cria.output.detokenizer import Detokenizer
from cria.output.processor import OutputProcessor


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


class AnswerTokens:
    """Of one choice."""

    def __init__(
        self, texts: TokenTexts, processor: OutputProcessor, num_characters_before: int
    ) -> None:
        self._texts = texts
        self._processor = processor
        self._before = num_characters_before
        self._waiting: deque[_Waiting] = deque()

    def feed(self, token_ids: Sequence[int], logprobs: TokenLogprobs | None) -> str:
        """The text that this token, of none or one, releases; then `take`."""
        begin = self._processor.num_decoded
        text = self._processor.feed(token_ids)
        end = self._processor.num_decoded + self._processor.is_partial
        for token_id in token_ids:
            token = scored_token(self._texts, token_id, logprobs, self._before + begin)
            self._waiting.append(_Waiting(token, begin, end))
        return text

    def take(self, *, is_final: bool) -> tuple[ScoredToken, ...]:
        """The tokens of the text that has left; finally all that are no part of a stop string."""
        waiting, released = self._waiting, self._processor.num_released
        taken = []
        while waiting and self._has_left(waiting[0], released, is_final):
            taken.append(waiting.popleft().token)
        return tuple(taken)

    def _has_left(self, first: _Waiting, released: int, is_final: bool) -> bool:
        if not is_final:
            return first.end <= released
        return first.begin < released or not self._processor.stopped


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
    texts: TokenTexts, token_ids: Sequence[int], logprobs: Iterable[TokenLogprobs], first: int
) -> tuple[ScoredToken, ...]:
    """The tokens of a prompt from the `first` on, whose log probabilities begin with that of the
    first one that follows another; without any, the tokens are shown alone.
    """
    detokenizer, values, shown = Detokenizer(texts.pieces), iter(logprobs), []
    for index, token_id in enumerate(token_ids):
        start = detokenizer.num_characters
        detokenizer.feed((token_id,))
        if index >= first:
            value = next(values, None) if index else None
            shown.append(scored_token(texts, token_id, value, start))
    return tuple(shown)
