"""Pictures, and what is said where none can be drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cria.bench import plot
from cria.bench.messages import Outcome
from cria.bench.results import LoadResult, Results, Run, Subject
from cria.bench.settings import Load, Settings
from cria.bench.statistics import summarize
from cria.errors import SetupError
from tests.bench.measured import make_results, make_run, make_trace


def by_rate() -> Results:
    loads = [LoadResult(Load(rate=rate), [make_run("A")]) for rate in (0.5, 2.0)]
    return Results("", [Subject("A", "http://a")], Settings(), loads)


def only_failures() -> Results:
    outcome = Outcome([make_trace(error="no")])
    return make_results(Run("A", False, 0, summarize(outcome), outcome))


@pytest.mark.parametrize(
    "results",
    [make_results(make_run("A"), make_run("B"), make_run("B", again=True)), by_rate()],
    ids=["clients", "rates"],
)
def test_a_picture(tmp_path: Path, results: Results) -> None:
    path = tmp_path / "p.png"
    plot.check(path)
    plot.draw(results, path)
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_failures_have_no_lines_and_are_no_failure(tmp_path: Path) -> None:
    plot.draw(only_failures(), tmp_path / "p.svg")
    assert b"<svg" in (tmp_path / "p.svg").read_bytes()


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SetupError, match=r"not installed: pip install 'cria\[bench\]'\.$"):
        plot.check(Path("p.png"))


def test_another_kind_of_file() -> None:
    with pytest.raises(SetupError, match=r"ends with \.png, \.svg, \.pdf, unlike p\.doc"):
        plot.check(Path("p.doc"))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="Cannot write"):
        plot.draw(make_results(make_run("A")), tmp_path / "none" / "p.png")
