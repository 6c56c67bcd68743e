"""Who is measured when."""

from __future__ import annotations

from cria.bench.pool import WorkerPool
from cria.bench.results import Run
from cria.bench.rounds import measure_load
from cria.bench.settings import Load, Settings
from tests.bench.measured import make_run


class Recorder:
    """A subject that only writes down what it was asked for."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self._calls = calls

    def check(self, settings: Settings) -> None: ...

    def warm_up(self, pool: WorkerPool, settings: Settings, load: Load) -> None:
        self._calls.append(f"warm up {self.name}")

    def measure(self, pool: WorkerPool, settings: Settings, load: Load, number: int) -> list[Run]:
        self._calls.append(f"{self.name}{number}")
        return [make_run(self.name, number)]


def test_subjects_take_turns() -> None:
    calls: list[str] = []
    told: list[Run] = []
    subjects = [Recorder(name, calls) for name in "AB"]
    result = measure_load(subjects, Settings(), Load(clients=1), WorkerPool(), told.append)
    assert calls == ["warm up A", "warm up B", "A0", "B0", "B1", "A1", "A2", "B2"]
    assert told == result.runs
    assert len(told) == 6


def test_without_a_warm_up() -> None:
    calls: list[str] = []
    settings = Settings(rounds=1, warm_up=False)
    measure_load([Recorder("A", calls)], settings, Load(clients=1), WorkerPool(), lambda run: None)
    assert calls == ["A0"]
