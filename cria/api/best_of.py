"""`best_of`: of several candidates the ones that the model finds most likely."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cria.api.head import Choice


def best_choices(choices: Sequence[Choice], num_candidates: int, n: int) -> list[Choice]:
    """Of each prompt's candidates, which follow each other, the `n` best, best first.

    The best is the one whose generated tokens have the highest mean log probability; of equal ones
    it is the first. Their indices count from 0 again.
    """
    chosen: list[Choice] = []
    for start in range(0, len(choices), num_candidates):
        candidates = choices[start : start + num_candidates]
        chosen += sorted(candidates, key=_mean_logprob, reverse=True)[:n]
    return [msgspec.structs.replace(choice, index=i) for i, choice in enumerate(chosen)]


def _mean_logprob(choice: Choice) -> float:
    values = [
        t.logprob for t in (choice.tokens or ())[choice.num_echoed :] if t.logprob is not None
    ]
    return sum(values) / len(values) if values else 0.0
