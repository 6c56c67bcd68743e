"""The log probabilities of one token, as the engine computes them and the protocol carries them."""

from __future__ import annotations

from typing import NamedTuple

MAX_TOP_LOGPROBS = 20
"""Of the most likely tokens at one place."""


class TokenLogprobs(NamedTuple):
    """Natural logarithms of probabilities before biases, penalties and temperature."""

    logprob: float
    """Of the token itself."""
    top: list[tuple[int, float]]
    """(token id, log probability) of the most likely ones: by falling probability, then by id."""
