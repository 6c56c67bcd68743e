"""`BudgetedMatcher`: an answer whose thinking ends after a number of tokens.

Where the end of thinking is a control token, a grammar can say so itself. Where it is text, which
may be one token or several, the tokens are counted here, and then nothing but that text is allowed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher, LLTokenizer

from cria.constraint.matcher import Matcher
from cria.constraint.sources import Budget

_BLANKS = b" \t\r\n"
_BITS = 32


class BudgetedMatcher(Matcher):
    """Its grammar ends the thinking at the first `close`, and knows no budget."""

    def __init__(self, matcher: LLMatcher, tokenizer: LLTokenizer, budget: Budget) -> None:
        super().__init__(matcher)
        self._tokenizer = tokenizer
        self._open, self._close = budget.open.encode(), budget.close.encode()
        self._num_left = budget.num_tokens
        self._has_begun = not self._open
        self._is_thinking = True
        """Or may yet begin to."""
        self._seen = b""
        """What may be the beginning of a mark."""

    def take(self, token: int) -> bool:
        """Whether the token may come next; then it has come."""
        due = self._due()
        if (due and token not in due) or not super().take(token):
            return False
        if self._is_thinking:
            self._watch(token)
        return True

    def fill_allowed(self, bits: npt.NDArray[np.int32]) -> None:
        """As `Matcher` does; nothing but the end where the thinking has to end."""
        due = self._due()
        if not due:
            super().fill_allowed(bits)
            return
        bits[:] = 0
        for token in due:
            bits.view(np.uint32)[0, token // _BITS] |= np.uint32(1 << token % _BITS)

    def _due(self) -> list[int]:
        """The tokens that may come next where the thinking has to end; none where it has not.

        A code point that has begun is completed before.
        """
        if not (self._is_thinking and self._has_begun) or self._num_left > 0:
            return []
        rest = _rest(self._close, self._seen)
        tokens = _tokens_of(self._tokenizer, rest)[:1]
        if len(rest.encode()) < len(self._close):  # however the model has begun to write it
            tokens += _prefixes(self._tokenizer, rest)
        return [token for token in tokens if self.allows(token)]

    def _watch(self, token: int) -> None:
        """Whether the thinking goes on behind this token."""
        self._seen += self._tokenizer.decode_bytes([token])
        if not self._has_begun:
            self._look_for_open()
            return
        self._num_left -= 1
        self._is_thinking = self._close not in self._seen
        self._seen = self._seen[-len(self._close) :]

    def _look_for_open(self) -> None:
        self._seen = self._seen.lstrip(_BLANKS)
        self._has_begun = self._seen.startswith(self._open)
        self._is_thinking = self._has_begun or self._open.startswith(self._seen)
        if self._has_begun:
            self._seen = self._seen[len(self._open) :]


def _rest(mark: bytes, seen: bytes) -> str:
    """The mark without what has been written of it."""
    starts = (size for size in range(len(mark) - 1, 0, -1) if seen.endswith(mark[:size]))
    # What begins within a code point is no text.
    size = next((size for size in starts if mark[size] & 0xC0 != 0x80), 0)
    return mark[size:].decode()


def _tokens_of(tokenizer: LLTokenizer, text: str) -> list[int]:
    """As the model writes it, unless that begins with a blank."""
    tokens = list(tokenizer.tokenize_str(text))
    return tokens if tokenizer.decode_str(tokens) == text else tokenizer.greedy_tokenize(text)


def _prefixes(tokenizer: LLTokenizer, text: str) -> list[int]:
    """All tokens with which the text may begin."""
    found = (tokenizer.greedy_tokenize(text[:size]) for size in range(1, len(text) + 1))
    return [tokens[0] for tokens in found if len(tokens) == 1]
