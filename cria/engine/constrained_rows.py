"""`ConstrainedRows`: the tokens of sequences whose answer has to have a shape.

A token is chosen freely first, which is nearly always one that the grammar takes: that costs two
microseconds. Only if not, the set of all tokens that it takes is computed, and one of these chosen.
Without truncation (top-k, top-p) that is the model's distribution over the allowed tokens.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cria.constraint.matcher import Matcher
from cria.engine.ending import FAILED_TOKEN, NO_TOKEN
from cria.engine.slots import Tokens
from cria.native.row_sampling import RowSampler

logger = logging.getLogger(__name__)

BITS = 32


class ConstrainedRows:
    """Of one `RowSampler`, whose slots with a matcher propose."""

    def __init__(self, sampler: RowSampler, vocab_size: int, ends: Sequence[int]) -> None:
        """`ends` are the end-of-generation tokens."""
        self._sampler = sampler
        self._end = ends[0] if ends else -1
        self._matchers: dict[int, Matcher] = {}  # by slot
        self._allowed = np.zeros((1, -(-vocab_size // BITS)), np.int32)

    def assign(self, slot: int, matcher: Matcher | None) -> None:
        """What the tokens of this slot have to match from now on; None: nothing."""
        if matcher is None:
            self._matchers.pop(slot, None)
        else:
            self._matchers[slot] = matcher

    def settle(self, tokens: Tokens, slots: Tokens, logits: npt.NDArray[np.float32]) -> None:
        """Replace what a grammar does not take among `tokens`, which were just proposed.

        One token and one row of `logits` for each of `slots`. Below 0 where nothing can be chosen.
        """
        if not self._matchers:
            return
        rows = [row for row, slot in enumerate(slots.tolist()) if slot in self._matchers]
        for row in rows:
            tokens[row] = self._settled_or_none(row, int(tokens[row]), int(slots[row]), logits)
        if rows:
            self._sampler.accept(slots[rows], np.maximum(tokens[rows], NO_TOKEN))

    def _settled_or_none(
        self, row: int, token: int, slot: int, logits: npt.NDArray[np.float32]
    ) -> int:
        """Whatever is wrong with one request's grammar is no other's concern."""
        try:
            return self._settled(row, token, slot, logits)
        except Exception:
            logger.exception("a grammar failed")
            return FAILED_TOKEN

    def _settled(self, row: int, token: int, slot: int, logits: npt.NDArray[np.float32]) -> int:
        matcher = self._matchers[slot]
        if matcher.is_over:
            return self._end
        if matcher.take(token):
            return -1 if matcher.problem else token
        matcher.fill_allowed(self._allowed)
        if matcher.problem:
            return -1  # an error's mask would end the answer as if it were complete
        token = self._sampler.propose_again(row, logits[row], slot, self._allowed[0])
        return token if matcher.take(token) else -1
