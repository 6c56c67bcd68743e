"""What was measured, as text: a table for each load, a row for each number."""

from __future__ import annotations

from typing import NamedTuple

from cria.bench.results import LoadResult, Run, Subject
from cria.bench.settings import Settings
from cria.bench.statistics import Spread, ratio, spread


class Metric(NamedTuple):
    """A row: a field of Summary, and how it is shown."""

    field: str
    title: str
    digits: int = 1
    compared: bool = True


METRICS = (
    Metric("prompt_tokens", "prompt tokens", 0, compared=False),
    Metric("generated_tokens", "generated tokens", 0, compared=False),
    Metric("wall_s", "wall time, s", 2),
    Metric("generated_per_s", "generated tokens/s"),
    Metric("tokens_per_s", "prompt + generated tokens/s"),
    Metric("prefill_per_s", "prompt tokens/s in prefill"),
    Metric("decode_per_s", "generated tokens/s in decode"),
    Metric("ttft_p50_ms", "first token p50, ms"),
    Metric("ttft_p90_ms", "first token p90, ms"),
    Metric("ttft_p99_ms", "first token p99, ms"),
    Metric("itl_p50_ms", "between tokens p50, ms", 2),
    Metric("itl_p90_ms", "between tokens p90, ms", 2),
    Metric("itl_p99_ms", "between tokens p99, ms", 2),
    Metric("longest_pause_ms", "longest pause, ms"),
    Metric("long_ttft_ms", "long prompt: first token, ms"),
    Metric("long_pause_ms", "others' longest pause then, ms"),
)


class Column(NamedTuple):
    """The runs of one subject, cold or again."""

    subject: str
    again: bool

    @property
    def title(self) -> str:
        return f"{self.subject} again" if self.again else self.subject


def table(result: LoadResult) -> str:
    """All numbers under one load: medians of the rounds, and ratios."""
    found = columns(result.runs)
    compared = pairs(found)
    titles = [*(c.title for c in found), *(f"{a.title} / {b.title}" for a, b in compared)]
    rows = [("", *titles)]
    for metric in METRICS:
        cells = [_cell(spread(values(result.runs, c, metric.field)), metric) for c in found]
        if any(cells):
            ratios = [_ratio_cell(result.runs, a, b, metric) for a, b in compared]
            rows.append((metric.title, *(cell or "-" for cell in cells), *ratios))
    rounds = 1 + max(run.round for run in result.runs)
    words = "1 round" if rounds == 1 else f"medians of {rounds} rounds (least to greatest)"
    return f"{result.load.title}, {words}\n{_aligned(rows)}"


def columns(runs: list[Run]) -> list[Column]:
    """In the order in which they were first measured."""
    return list(dict.fromkeys(Column(run.subject, run.again) for run in runs))


def pairs(found: list[Column]) -> list[tuple[Column, Column]]:
    """Which columns are compared: every server with those after it, and with the raw limit."""
    return [
        (a, b)
        for i, a in enumerate(found)
        for b in found[i + 1 :]
        if a.subject != b.subject and a.again == b.again
    ]


def values(runs: list[Run], column: Column, field: str) -> list[float | None]:
    """One value a round."""
    mine = [run for run in runs if (run.subject, run.again) == column]
    return [getattr(run.summary, field) for run in sorted(mine, key=lambda run: run.round)]


def legend(subjects: list[Subject]) -> str:
    return "\n".join(
        f"{s.name}: {s.place}" + (f", model {s.model}" if s.model else "") for s in subjects
    )


def notes(result: LoadResult, settings: Settings) -> list[str]:
    """What a reader would not guess from the numbers."""
    lines = []
    if len({run.summary.requests for run in result.runs if not run.again}) > 1:
        lines.append("The limit is one request for each client: compare its speed, not its time.")
    for column in columns(result.runs):
        traces = [
            trace
            for run in result.runs
            if (run.subject, run.again) == column
            for trace in run.outcome.traces
            if trace.error is None
        ]
        if any(not trace.counted for trace in traces):
            lines.append(f"{column.title} reports no usage: pieces of text are counted as tokens.")
        elif settings.ignore_eos and any(t.generated_tokens < settings.max_tokens for t in traces):
            lines.append(f"{column.title} ended some answers early, although asked to ignore_eos.")
    return lines


def progress(run: Run, rounds: int) -> str:
    """A line for a run that has just ended."""
    summary = run.summary
    speed = f"{summary.generated_per_s or 0:.1f} tokens/s"
    failed = f", {summary.failed} of {summary.requests} requests failed" if summary.failed else ""
    title = Column(run.subject, run.again).title
    return f"round {run.round + 1} of {rounds}, {title}: {speed}{failed}"


def _cell(found: Spread | None, metric: Metric) -> str:
    if found is None:
        return ""
    median, low, high = (f"{x:.{metric.digits}f}" for x in (found.median, found.low, found.high))
    return median if low == high else f"{median} ({low} to {high})"


def _ratio_cell(runs: list[Run], a: Column, b: Column, metric: Metric) -> str:
    if not metric.compared:
        return ""
    found = ratio(values(runs, a, metric.field), values(runs, b, metric.field))
    return _cell(found, metric._replace(digits=3)) or "-"


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(f"  {line}" for line in lines)
