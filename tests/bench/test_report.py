"""Tables: every number in its place."""

from __future__ import annotations

import msgspec

from cria.bench.messages import Outcome
from cria.bench.report import columns, legend, notes, progress, table
from cria.bench.results import LoadResult, Run
from cria.bench.settings import Load, Settings
from cria.bench.statistics import summarize
from tests.bench.measured import make_results, make_run, make_trace

ALONE = """\
8 clients, 1 round
                               A
  prompt tokens                10
  generated tokens             6
  wall time, s                 4.00
  generated tokens/s           1.5
  prompt + generated tokens/s  4.0
  first token p50, ms          1000.0
  first token p90, ms          1000.0
  first token p99, ms          1000.0
  between tokens p50, ms       1000.00
  between tokens p90, ms       2000.00
  between tokens p99, ms       2000.00
  longest pause, ms            2000.0"""


def line(text: str, title: str) -> str:
    (found,) = [row for row in text.splitlines() if row.strip().startswith(title)]
    return " ".join(found.split())


def test_one_server() -> None:
    assert table(LoadResult(Load(clients=8), [make_run("A")])) == ALONE


def test_two_servers_are_compared() -> None:
    runs = [
        make_run("A", 0, speed=2.0),
        make_run("B", 0, speed=1.0),
        make_run("B", 1, speed=1.0),
        make_run("A", 1, speed=4.0),
    ]
    text = table(LoadResult(Load(clients=1), runs))
    assert text.startswith("1 client, medians of 2 rounds (least to greatest)\n")
    assert text.splitlines()[1].split("  ")[-1] == "A / B"
    assert line(text, "generated tokens/s") == (
        "generated tokens/s 4.5 (3.0 to 6.0) 1.5 3.000 (2.000 to 4.000)"
    )
    assert line(text, "generated tokens ") == "generated tokens 6 6"


def test_again_is_compared_with_again() -> None:
    runs = [make_run(name, again=again) for name in "AB" for again in (False, True)]
    text = table(LoadResult(Load(clients=1), runs))
    assert text.splitlines()[1].split() == ("A A again B B again A / B A again / B again".split())


def test_what_only_one_of_them_has_is_a_dash() -> None:
    run = make_run("limit")
    run.summary.prefill_per_s = 123.0
    text = table(LoadResult(Load(clients=1), [make_run("A"), run]))
    assert line(text, "prompt tokens/s in prefill") == "prompt tokens/s in prefill - 123.0 -"


def test_nothing_but_failures() -> None:
    outcome = Outcome([make_trace(error="no")])
    run = Run("A", False, 0, summarize(outcome), outcome)
    assert "first token" not in table(LoadResult(Load(clients=1), [run]))
    assert progress(run, 3) == "round 1 of 3, A: 0.0 tokens/s, 1 of 1 requests failed"


def test_progress() -> None:
    assert progress(make_run("A", 1, again=True), 3) == "round 2 of 3, A again: 1.5 tokens/s"


def test_the_legend() -> None:
    assert legend(make_results(make_run("A"), make_run("B")).subjects) == (
        "A: http://a, model m\nB: http://b, model m"
    )


def test_notes() -> None:
    result = LoadResult(Load(clients=1), [make_run("A"), make_run("B")])
    assert len(columns(result.runs)) == 2
    assert notes(result, Settings(max_tokens=6)) == []
    assert notes(result, Settings(max_tokens=7, ignore_eos=False)) == []
    early = notes(result, Settings(max_tokens=7))
    assert early[0] == "A ended some answers early, although asked to ignore_eos."
    trace = msgspec.structs.replace(make_trace(), counted=False)
    result.runs[0].outcome = Outcome([trace])
    assert notes(result, Settings(max_tokens=6)) == [
        "A reports no usage: pieces of text are counted as tokens."
    ]


def test_a_limit_of_fewer_requests_is_noted() -> None:
    result = LoadResult(Load(clients=1), [make_run("A"), make_run("limit")])
    result.runs[0].summary.requests = 9
    assert notes(result, Settings(max_tokens=6)) == [
        "The limit is one request for each client: compare its speed, not its time."
    ]
