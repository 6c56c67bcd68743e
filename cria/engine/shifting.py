"""Context shift: a sequence that reaches the end of its context goes on without its oldest tokens.

The kept tokens become a new prompt, which is computed anew. To move what is in the cache to other
positions would be cheaper, and wrong: cells may belong to several sequences, not all kinds of
positions can be moved, and the kept keys and values would still know of the dropped tokens.
"""

from __future__ import annotations

import numpy as np

from cria.engine.sequence import Sequence
from cria.engine.slots import Tokens


def shifts_at_the_end(sequence: Sequence, context_size: int) -> bool:
    """Whether the sequence, when it fills its context, has more to generate and may shift."""
    params = sequence.params
    num_generated = context_size - sequence.num_original_tokens + sequence.num_dropped_tokens
    return params.num_kept is not None and params.max_tokens > num_generated


def shift(sequence: Sequence, tokens: Tokens) -> None:
    """Make what is kept of `tokens`, all that its context holds, the sequence's prompt."""
    sequence.prompt = without_oldest_half(tokens, sequence.params.num_kept or 0)
    sequence.num_dropped_tokens += len(tokens) - len(sequence.prompt)
    sequence.num_shifts += 1


def without_oldest_half(tokens: Tokens, num_kept: int) -> Tokens:
    """Drop the older half of what comes after the first `num_kept` tokens, at least one token.

    The last token, which was chosen just now, always stays.
    """
    start = min(num_kept, len(tokens) - 2)
    num_dropped = (len(tokens) - start) // 2
    return np.concatenate((tokens[:start], tokens[start + num_dropped :]))
