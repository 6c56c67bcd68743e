"""`PrefillPacer`: how many prompt tokens a step may take without holding up the streams.

A step that computes prompts delays the next token of every running sequence. How long it will take
is predicted from the steps before it: so much for the decodes, and so much for each prompt token.
"""

from __future__ import annotations

MARGIN = 0.8
"""The prediction is for the mean, and the promise is for the longest."""
MIN_CHUNK = 16
"""Prompts must get on, also where the decodes alone take longer than they may."""
WEIGHT = 0.25
"""Of a new observation that is better than what was known; a worse one counts at once."""


class PrefillPacer:
    """Chooses chunks so that no step takes longer than `max_stall_seconds`.

    `first_chunk` is what is taken before anything has been observed; sizes are in tokens.
    """

    def __init__(self, max_stall_seconds: float, first_chunk: int) -> None:
        self._max_stall = max_stall_seconds
        self._first_chunk = first_chunk
        self._decode_seconds = 0.0
        self._seconds_per_token = 0.0

    @property
    def chunk(self) -> int:
        """Prompt tokens for a step that also decodes."""
        if not self._seconds_per_token:
            return self._first_chunk
        left = max(self._max_stall * MARGIN - self._decode_seconds, 0.0)
        return max(MIN_CHUNK, int(left / self._seconds_per_token))

    def observe(self, num_decodes: int, num_prompt_tokens: int, seconds: float) -> None:
        """A step has taken so long."""
        if not num_prompt_tokens:
            self._decode_seconds = _blend(self._decode_seconds, seconds)
            return
        if num_decodes:
            # As long as prompts keep coming, nothing else can correct an estimate that is too high.
            self._decode_seconds = min(self._decode_seconds, _blend(self._decode_seconds, seconds))
            seconds -= self._decode_seconds
        if seconds <= 0:
            return
        # A small chunk says little about a large one: most of its time is not the tokens'.
        if num_prompt_tokens >= self.chunk // 2 or seconds > self._max_stall / 2:
            self._seconds_per_token = _blend(self._seconds_per_token, seconds / num_prompt_tokens)


def _blend(known: float, observed: float) -> float:
    return observed if observed > known else known + WEIGHT * (observed - known)
