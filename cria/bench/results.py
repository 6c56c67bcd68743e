"""What was measured, in memory and as a file."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from cria import __version__
from cria.bench.messages import Outcome, Trace
from cria.bench.settings import Load, Settings
from cria.bench.statistics import Summary
from cria.config import EngineConfig
from cria.errors import SetupError

FORMAT = 1
"""Of the file; counts up when a reader would stumble."""


class Run(msgspec.Struct):
    """One subject under one load, once."""

    subject: str
    again: bool
    """With the prompts of the run before, which the server may have kept."""
    round: int
    summary: Summary
    outcome: Outcome


class LoadResult(msgspec.Struct):
    """All runs under one load, in the order in which they were made."""

    load: Load
    runs: list[Run]


class Subject(msgspec.Struct, frozen=True):
    """What was measured: a server, or the raw limit."""

    name: str
    place: str
    """URL or file."""
    model: str | None = None
    config: EngineConfig | None = None
    """Of the raw limit."""


class Results(msgspec.Struct):
    started: str
    """Universal time."""
    subjects: list[Subject]
    settings: Settings
    loads: list[LoadResult] = []


def failures(results: Results) -> Counter[str]:
    """What went wrong, and how often."""
    traces = [t for load in results.loads for run in load.runs for t in _all(run.outcome)]
    return Counter(trace.error for trace in traces if trace.error is not None)


def save(results: Results, path: Path, with_arrivals: bool) -> None:
    """Write everything; the summaries can be computed again if `with_arrivals`."""
    data = {
        "format": FORMAT,
        "cria": __version__,
        "machine": machine(),
        "started": results.started,
        "subjects": results.subjects,
        "settings": results.settings,
        "loads": [
            {"load": load.load, "runs": [_run(run, with_arrivals) for run in load.runs]}
            for load in results.loads
        ],
    }
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(data), indent=1))
    except OSError as error:
        raise SetupError(f"Cannot write {path}: {error.strerror}.") from error


def machine() -> dict[str, Any]:
    """Where the load came from."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "python": sys.version.split()[0],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((li.partition(": ")[2] for li in lines if li.startswith("model name")), "unknown")


def _all(outcome: Outcome) -> list[Trace]:
    return [*outcome.traces, *([outcome.long] if outcome.long else [])]


def _run(run: Run, with_arrivals: bool) -> dict[str, Any]:
    long = run.outcome.long
    return {
        "subject": run.subject,
        "again": run.again,
        "round": run.round,
        "summary": run.summary,
        "requests": [_request(trace, with_arrivals) for trace in run.outcome.traces],
        "long": _request(long, with_arrivals) if long else None,
    }


def _request(trace: Trace, with_arrivals: bool) -> dict[str, Any]:
    """Seconds, to the microsecond."""
    data: dict[str, Any] = {
        "start": round(trace.start, 6),
        "ttft": round(trace.arrivals[0] - trace.start, 6) if trace.arrivals else None,
        "end": round(trace.end, 6),
        "pieces": len(trace.arrivals),
        "prompt_tokens": trace.prompt_tokens,
        "generated_tokens": trace.generated_tokens,
        "error": trace.error,
    }
    if with_arrivals:
        data["arrivals"] = [round(arrival, 6) for arrival in trace.arrivals]
    return data
