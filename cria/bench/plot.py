"""The results as a picture; the one module that knows matplotlib, and only when it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cria.bench.report import Column, columns, values
from cria.bench.results import LoadResult, Results
from cria.bench.statistics import spread
from cria.errors import SetupError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")
INCHES = (15, 4.5)
SOLID, DASHED = "o-", "s--"


class Panel(NamedTuple):
    """One of the drawings: lines of fields of Summary over the loads."""

    title: str
    unit: str
    lines: tuple[tuple[str, str, str], ...]
    """Field, style, and what the legend says after the subject."""


PANELS = (
    Panel("Throughput", "generated tokens/s", (("generated_per_s", SOLID, ""),)),
    Panel(
        "Time to first token",
        "ms",
        (("ttft_p50_ms", SOLID, " p50"), ("ttft_p99_ms", DASHED, " p99")),
    ),
    Panel(
        "Between tokens",
        "ms",
        (("itl_p50_ms", SOLID, " p50"), ("itl_p99_ms", DASHED, " p99")),
    ),
)


def check(path: Path) -> None:
    """SetupError if a picture cannot be drawn there: known before minutes are spent."""
    if path.suffix.lower() not in SUFFIXES:
        raise SetupError(f"A plot is a file that ends with {', '.join(SUFFIXES)}, unlike {path}.")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise SetupError(
            "A plot needs matplotlib, which is not installed: pip install 'cria[bench]'."
        ) from None


def draw(results: Results, path: Path) -> None:
    """Medians of the rounds over the loads, with the range of the rounds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, layout="constrained")
    figure.suptitle("; ".join(f"{s.name}: {s.place}" for s in results.subjects), fontsize=9)
    for panel, axes in zip(PANELS, figure.subplots(1, len(PANELS)), strict=True):
        _draw_panel(axes, panel, results.loads)
    try:
        figure.savefig(path)
    except OSError as error:
        raise SetupError(f"Cannot write {path}: {error.strerror}.") from error


def _draw_panel(axes: Axes, panel: Panel, loads: list[LoadResult]) -> None:
    by_rate = loads[0].load.rate is not None
    axes.set(title=panel.title, ylabel=panel.unit)
    axes.set_xlabel("requests per second" if by_rate else "clients")
    axes.set_xscale("log", base=2)
    positions = [load.load.rate or load.load.clients for load in loads]
    axes.set_xticks(positions, [f"{position:g}" for position in positions], minor=False)
    for index, column in enumerate(columns(loads[0].runs)):
        for field, style, words in panel.lines:
            _draw_line(axes, loads, column, field, (style, f"C{index}", words))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(fontsize=8)


def _draw_line(
    axes: Axes, loads: list[LoadResult], column: Column, field: str, look: tuple[str, str, str]
) -> None:
    style, colour, words = look
    points = []
    for load in loads:
        found = spread(values(load.runs, column, field))
        if found is not None:
            points.append((load.load.rate or load.load.clients, found))
    if not points:
        return
    xs = [x for x, _ in points]
    axes.plot(xs, [s.median for _, s in points], style, color=colour, label=column.title + words)
    axes.fill_between(
        xs, [s.low for _, s in points], [s.high for _, s in points], color=colour, alpha=0.15
    )
