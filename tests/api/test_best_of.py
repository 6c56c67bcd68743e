from __future__ import annotations

from cria.api.best_of import best_choices
from cria.api.head import Choice
from cria.api.logprobs import ScoredToken


def choice(index: int, *logprobs: float | None, num_echoed: int = 0) -> Choice:
    tokens = tuple(ScoredToken(b"x", True, value, [], 0) for value in logprobs)
    return Choice(index, f"text {index}", "stop", tokens, num_echoed)


def test_the_highest_mean_wins_not_the_shortest() -> None:
    candidates = [choice(0, -2.0), choice(1, -1.0, -1.0, -1.0), choice(2, -1.5)]
    best = best_choices(candidates, 3, 2)
    assert [(found.index, found.text) for found in best] == [(0, "text 1"), (1, "text 2")]


def test_each_prompt_has_its_own_candidates() -> None:
    candidates = [choice(0, -5.0), choice(1, -4.0), choice(2, -1.0), choice(3, -2.0)]
    best = best_choices(candidates, 2, 1)
    assert [(found.index, found.text) for found in best] == [(0, "text 1"), (1, "text 2")]


def test_the_prompt_does_not_count() -> None:
    candidates = [
        choice(0, None, -0.1, -3.0, num_echoed=2),
        choice(1, None, -9.0, -2.0, num_echoed=2),
    ]
    assert best_choices(candidates, 2, 1)[0].text == "text 1"


def test_of_equal_ones_the_first() -> None:
    assert best_choices([choice(0, -1.0), choice(1, -1.0)], 2, 1)[0].text == "text 0"
