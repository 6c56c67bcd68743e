"""One soak from the first server to the report.

Clients ask, things break, and every few seconds everybody pauses: then the server has to be as it
was at the start, and the canary has to sing as it did.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.same_state import ServerState, differences, is_quiet, observe
from tests.real_server import wait_for
from tests.soak import invariants
from tests.soak.clients import CrowdProcess
from tests.soak.disturb import cancel_milliseconds, disturb, fill_caches
from tests.soak.probes import Probes
from tests.soak.report import Figures
from tests.soak.settings import Settings
from tests.soak.target import Target

QUIET_SECONDS = 5.0
FIRST_DISTURBANCE = 0.25
"""Of the pause between two: what a short soak does not wait for."""


def run_soak(
    settings: Settings,
    folder: Path,
    say: Callable[[str], None] = lambda _: None,
    options: tuple[str, ...] = (),
) -> Figures:
    """The figures; `problems` is empty if every invariant held. `options` are the server's."""
    figures = Figures(settings)
    began = time.monotonic()
    with _target(folder, settings, options) as target:
        figures.load_seconds = target.load_seconds
        soak = _Soak(settings, target, figures, say)
        try:
            soak.run()
        finally:
            soak.close()
    figures.seconds = time.monotonic() - began
    figures.problems += invariants.check_logs(target.logs)
    figures.problems += _judge(figures)
    return figures


def _judge(figures: Figures) -> list[str]:
    """What can be said only at the end."""
    limits = figures.settings.limits
    return [
        *invariants.check_records(figures.records, figures.faults),
        *(problem for fault in figures.faults for problem in fault.problems),
        *invariants.check_memory(figures.slopes, limits),
        *invariants.check_latencies(
            limits,
            figures.health_ms,
            figures.refusals_ms,
            figures.cancels_ms,
            figures.recoveries_ms,
            figures.load_seconds * 1000,
        ),
    ]


@contextmanager
def _target(folder: Path, settings: Settings, options: tuple[str, ...]) -> Iterator[Target]:
    target = Target(folder, settings, options)
    try:
        yield target
    finally:
        target.close()


class _Soak:
    """The running one."""

    def __init__(
        self, settings: Settings, target: Target, figures: Figures, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._target = target
        self._figures = figures
        self._say = say
        self._answers = [target.question.ask(), target.question.ask()]
        self._crowd = CrowdProcess(target.address, settings.num_clients, settings.seed)
        self._probes = Probes(target)
        self._baseline: ServerState | None = None
        self._baseline_of = 0
        order = list(settings.disturbances)
        random.Random(settings.seed).shuffle(order)
        self._order = itertools.cycle(order)

    def run(self) -> None:
        """Until the time is over; then once more, after silence."""
        if self._settings.minutes >= invariants.LONG_LIFE_MINUTES:
            fill_caches(self._target)
        self._check()
        now = time.monotonic()
        end = now + self._settings.minutes * 60
        next_disturbance = now + self._settings.disturb_seconds * FIRST_DISTURBANCE
        while time.monotonic() < end:
            self._crowd.open()
            next_check = time.monotonic() + self._settings.check_seconds
            while time.monotonic() < min(next_check, end):
                if self._settings.disturbances and time.monotonic() >= next_disturbance:
                    next_disturbance += self._settings.disturb_seconds
                    self._disturb()
                time.sleep(0.05)
            self._check()
        time.sleep(QUIET_SECONDS)
        self._check()

    def close(self) -> None:
        self._crowd.end()
        self._probes.stop()
        self._figures.health_ms = self._probes.health_ms
        warm_up = self._settings.warm_up_seconds / 60
        self._figures.slopes = invariants.memory_slopes(self._probes.memory, warm_up)

    def _disturb(self) -> None:
        fault = disturb(next(self._order), self._target)
        self._figures.faults.append(fault)
        took = fault.end - fault.start
        self._say(f"{fault.kind}: {took:.1f} s {'; '.join(fault.problems)}")

    def _check(self) -> None:
        """2, 3 and 6: everybody waits, and the server is as it was."""
        paused = self._crowd.pause()
        self._figures.records += paused.records
        self._figures.num_checks += 1
        problems = []
        if paused.num_in_flight:
            problems.append(f"{paused.num_in_flight} requests do not end")
        try:
            problems += self._look()
        except AssertionError as error:
            problems.append(str(error))
        self._figures.problems += [f"check {self._figures.num_checks}: {p}" for p in problems]
        self._say(f"{len(paused.records)} requests; {'; '.join(problems) or 'as it was'}")

    def _look(self) -> list[str]:
        target = self._target
        wait_for(target.health, is_quiet, "a quiet engine", QUIET_SECONDS)
        if self._baseline is None or self._baseline_of != target.server.process.pid:
            # A new server's first state is what it is compared with.
            self._baseline, self._baseline_of = observe(target.server), target.server.process.pid
        baseline = self._baseline
        wait_for(
            lambda: self._differences(baseline),
            lambda found: not found,
            "the server to be as it was",
            QUIET_SECONDS,
        )
        self._figures.cancels_ms.append(cancel_milliseconds(target))
        wait_for(target.health, is_quiet, "a quiet engine", QUIET_SECONDS)
        tokens = target.question.ask()
        if tokens not in self._answers:
            return [f"the canary's tokens were {self._answers}, and now are {tokens}"]
        return []

    def _differences(self, baseline: ServerState) -> dict[str, object]:
        now = observe(self._target.server)
        new_engine = now.engine.pid != baseline.engine.pid
        return differences(baseline, now, new_engine=new_engine)
