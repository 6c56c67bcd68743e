"""`Matcher`: one answer on its way through a grammar, token by token."""

from __future__ import annotations

import time

import llguidance.numpy
import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher

FREE_SECONDS, SECONDS_PER_TOKEN = 0.2, 0.01
"""Of computing, which a grammar may take: so much once, and so much for each token. A usual one
takes a hundredth of that; an ambiguous one takes more and more, and would hold up all answers."""


class Matcher:
    """Used by one thread."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher
        self._seconds = 0.0
        self._num_taken = 0

    @property
    def is_over(self) -> bool:
        """The answer is complete, and nothing can follow."""
        return self._matcher.is_stopped() and not self._matcher.is_error()

    @property
    def problem(self) -> str:
        """Why the grammar cannot be followed any further; empty if it can."""
        if self._matcher.is_error():
            return "it became too large to be followed"
        if self._seconds > FREE_SECONDS + SECONDS_PER_TOKEN * self._num_taken:
            return "it takes too long to follow"
        return ""

    def take(self, token: int) -> bool:
        """Whether the token may come next; then it has come."""
        began = time.thread_time()
        taken = token >= 0 and bool(self._matcher.try_consume_tokens([token]))
        self._seconds += time.thread_time() - began
        self._num_taken += taken
        return taken

    def allows(self, token: int) -> bool:
        """Whether the token may come next."""
        return bool(self._matcher.validate_tokens([token]))

    def fill_allowed(self, bits: npt.NDArray[np.int32]) -> None:
        """Set the bits [1, vocabulary / 32, rounded up] of the tokens that may come next.

        They mean nothing if there is a `problem` afterwards.
        """
        began = time.thread_time()
        llguidance.numpy.fill_next_token_bitmask(self._matcher, bits, 0)
        self._seconds += time.thread_time() - began
