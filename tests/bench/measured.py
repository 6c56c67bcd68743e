"""Results that were never measured, for what only reads them."""

from __future__ import annotations

from cria.bench.messages import Outcome, Trace
from cria.bench.results import LoadResult, Results, Run, Subject
from cria.bench.settings import Load, Settings
from cria.bench.statistics import summarize


def make_trace(speed: float = 1.0, error: str | None = None) -> Trace:
    """Three pieces, the first after 1 s, the next after 2 and 4 s, all divided by `speed`."""
    arrivals = [second / speed for second in (1.0, 2.0, 4.0)]
    return Trace(0.0, arrivals[-1], arrivals, 10, 6, True, error)


def make_run(subject: str, round_number: int = 0, speed: float = 1.0, again: bool = False) -> Run:
    outcome = Outcome([make_trace(speed)])
    return Run(subject, again, round_number, summarize(outcome), outcome)


def make_results(*runs: Run) -> Results:
    subjects = [
        Subject(name, f"http://{name.lower()}", "m")
        for name in dict.fromkeys(run.subject for run in runs)
    ]
    loads = [LoadResult(Load(clients=clients), list(runs)) for clients in (1, 8)]
    return Results("2000-01-01T00:00:00Z", subjects, Settings(max_tokens=6), loads)
