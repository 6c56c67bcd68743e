"""The figures of a soak, as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.disturb import Fault
from tests.soak.ledger import OUTCOMES, Record, count_outcomes
from tests.soak.settings import Settings
from tests.soak.statistics import percentile

MAX_SHOWN = 40


@dataclass
class Figures:
    """What a soak has gathered."""

    settings: Settings
    seconds: float = 0.0
    load_seconds: float = 0.0
    num_checks: int = 0
    records: list[Record] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    health_ms: list[float] = field(default_factory=list)
    cancels_ms: list[float] = field(default_factory=list)
    slopes: dict[str, tuple[float, float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def refusals_ms(self) -> list[float]:
        """Of what was refused for its own sake, or for want of room."""
        return [
            record.answer_seconds * 1000
            for record in self.records
            if record.kind != "abuse" and 400 <= record.status < 500
        ]

    @property
    def recoveries_ms(self) -> list[float]:
        return [
            fault.recovery_seconds * 1000
            for fault in self.faults
            if fault.recovery_seconds is not None
        ]


def as_json(figures: Figures) -> dict[str, Any]:
    """All but the single requests."""
    return {
        "settings": asdict(figures.settings),
        "seconds": round(figures.seconds, 1),
        "load_seconds": round(figures.load_seconds, 3),
        "checks": figures.num_checks,
        "requests": len(figures.records),
        "outcomes": {kind: dict(c) for kind, c in count_outcomes(figures.records).items()},
        "statuses": dict(Counter(str(record.status) for record in figures.records)),
        "error_codes": dict(Counter(r.code for r in figures.records if r.code)),
        "left_in": dict(Counter(r.left_in for r in figures.records if r.left_in)),
        "faults": [asdict(fault) for fault in figures.faults],
        "latencies_ms": {name: _spread(values) for name, values in _latencies(figures).items()},
        "megabytes_per_minute": {
            name: {"minutes": round(minutes, 2), "slope": round(growth, 3)}
            for name, (minutes, growth) in figures.slopes.items()
        },
        "problems": figures.problems,
        "notes": figures.notes,
    }


def write_json(figures: Figures, path: Path) -> None:
    path.write_text(json.dumps(as_json(figures), indent=2, default=str) + "\n")


def as_table(figures: Figures) -> str:
    """For a terminal."""
    lines = [
        f"{len(figures.records)} requests of {figures.settings.num_clients} clients in "
        f"{figures.seconds:.0f} s, {figures.num_checks} checks, seed {figures.settings.seed}",
        "",
        f"{'':14}" + "".join(f"{outcome:>13}" for outcome in OUTCOMES),
    ]
    for kind, counts in sorted(count_outcomes(figures.records).items()):
        lines.append(f"{kind:14}" + "".join(f"{counts[outcome]:13}" for outcome in OUTCOMES))
    left = Counter(record.left_in for record in figures.records if record.left_in)
    happened = Counter(fault.kind for fault in figures.faults)
    codes = Counter(record.code for record in figures.records if record.code)
    lines += ["", f"clients left: {_counts(left)}", f"faults: {_counts(happened)}"]
    lines += [f"error codes: {_counts(codes)}", "", f"{'ms':24}{'p50':>9}{'p99':>9}{'max':>9}"]
    for name, values in _latencies(figures).items():
        spread = _spread(values)
        lines.append(f"{name:24}" + "".join(f"{_shown(spread[key]):>9}" for key in spread))
    lines += ["", f"{'MB a minute':24}{'slope':>9}{'minutes':>9}"]
    for name, (minutes, growth) in figures.slopes.items():
        lines.append(f"{name:24}{growth:9.2f}{minutes:9.1f}")
    lines += ["", *figures.notes, *_shown_problems(figures.problems)]
    return "\n".join(lines)


def _shown_problems(problems: list[str]) -> list[str]:
    if not problems:
        return ["every invariant held"]
    shown = [f"  {problem}" for problem in problems[:MAX_SHOWN]]
    return [f"{len(problems)} problems, the first of them:", *shown]


def _latencies(figures: Figures) -> dict[str, list[float]]:
    return {
        "/health": figures.health_ms,
        "refusals": figures.refusals_ms,
        "from cancel to free": figures.cancels_ms,
        "recovery after a kill": figures.recoveries_ms,
    }


def _spread(values: list[float]) -> dict[str, float | None]:
    named = {"p50": percentile(values, 50), "p99": percentile(values, 99)}
    named["max"] = max(values, default=math.nan)
    return {name: None if math.isnan(v) else round(v, 1) for name, v in named.items()}


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _counts(counts: Counter[Any]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
