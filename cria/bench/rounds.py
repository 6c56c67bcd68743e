"""The order of a measurement: what is compared is measured in turns.

A machine gets faster and slower by the minute, so that two servers measured one after the other
differ even if they are the same. In turns, A B, B A, A B, both have the same share of all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from cria.bench.pool import WorkerPool
from cria.bench.results import LoadResult, Run
from cria.bench.settings import Load, Settings


class Measurable(Protocol):
    """A server, or the raw limit."""

    name: str

    def check(self, settings: Settings) -> None: ...

    def warm_up(self, pool: WorkerPool, settings: Settings, load: Load) -> object: ...

    def measure(
        self, pool: WorkerPool, settings: Settings, load: Load, round_number: int
    ) -> list[Run]: ...


def measure_load(
    subjects: Sequence[Measurable],
    settings: Settings,
    load: Load,
    pool: WorkerPool,
    report: Callable[[Run], None],
) -> LoadResult:
    """All rounds under one load."""
    result = LoadResult(load, [])
    if settings.warm_up:
        for subject in subjects:
            subject.warm_up(pool, settings, load)
    for number in range(settings.rounds):
        for subject in in_turn(subjects, number):
            for run in subject.measure(pool, settings, load, number):
                result.runs.append(run)
                report(run)
    return result


def in_turn(subjects: Sequence[Measurable], number: int) -> Sequence[Measurable]:
    """Every other round the other way round."""
    return subjects[::-1] if number % 2 else subjects
