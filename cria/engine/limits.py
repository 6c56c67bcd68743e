"""`Limits`: what an engine has room for."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """What there is; all in tokens."""

    context_size: int
    """Of one sequence."""
    batch_size: int
    """Of one step."""
    vocab_size: int
    num_scored_rows: int = 128
    """Rows of logits of one step, beside those from which tokens are chosen."""
