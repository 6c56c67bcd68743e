"""The seven invariants: each of these functions says what is wrong, in one sentence each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.soak.disturb import Fault
from tests.soak.ledger import LOST, Record
from tests.soak.settings import KEY, MARK, Limits
from tests.soak.statistics import percentile, slope

LONG_LIFE_MINUTES = 10.0
"""For the slope of a shorter one says more of its youth than of leaks."""
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\)", re.MULTILINE)


def check_records(records: Iterable[Record], faults: Sequence[Fault]) -> list[str]:
    """1, the ledger, and of 7: no failure of ours but that of a fault's victim."""
    problems = []
    for record in records:
        excused = any(fault.excuses(record.start, record.end) for fault in faults)
        problems += [f"{problem}: {record.what}" for problem in record.problems]
        if excused:
            continue
        if record.outcome == LOST and not record.problems:
            problems.append(f"an answer was lost: {record.what}")
        elif record.is_failure and record.outcome != LOST:
            problems.append(f"{record.outcome} {record.status} {record.code}: {record.what}")
    return problems


def check_latencies(
    limits: Limits,
    health_ms: Sequence[float],
    refusals_ms: Sequence[float],
    cancels_ms: Sequence[float],
    recoveries_ms: Sequence[float],
    load_ms: float,
) -> list[str]:
    """5: the 99th percentiles."""
    measured = {
        "/health": (health_ms, limits.health_p99),
        "refusals": (refusals_ms, limits.refusal_p99),
        "from cancel to free": (cancels_ms, limits.cancel_p99),
        "recovery after a kill": (recoveries_ms, load_ms + limits.recovery_beyond_load),
    }
    return [
        f"{name}: p99 is {percentile(values, 99):.0f} ms, more than {limit:.0f}"
        for name, (values, limit) in measured.items()
        if values and percentile(values, 99) > limit
    ]


def memory_slopes(
    memory: Mapping[str, Sequence[tuple[float, float]]], warm_up_minutes: float
) -> dict[str, tuple[float, float]]:
    """Of each process: how many minutes were looked at, and megabytes per minute in them."""
    slopes = {}
    for name, points in memory.items():
        late = [(x, y) for x, y in points if x >= warm_up_minutes]
        if len(late) >= 2:
            slopes[name] = late[-1][0] - late[0][0], slope(late)
    return slopes


def check_memory(slopes: Mapping[str, tuple[float, float]], limits: Limits) -> list[str]:
    """4: those that live long do not grow."""
    return [
        f"{name} grows by {growth:.2f} MB a minute, over {minutes:.0f} minutes"
        for name, (minutes, growth) in slopes.items()
        if minutes >= LONG_LIFE_MINUTES and growth > limits.megabytes_per_minute
    ]


def check_logs(paths: Iterable[Path]) -> list[str]:
    """7: no traceback, no key, nothing of a prompt."""
    problems = []
    for path in paths:
        text = path.read_text(errors="replace")
        found = Counter(
            {
                "a traceback": len(_TRACEBACK.findall(text)),
                "the key": text.count(KEY),
                "a prompt's words": text.count(MARK),
            }
        )
        problems += [f"{path.name} has {what} {times} times" for what, times in (+found).items()]
    return problems
