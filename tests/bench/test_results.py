"""The file: everything in it, nothing secret, and a sentence if it cannot be written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cria
from cria.bench.messages import Outcome
from cria.bench.results import failures, save
from cria.errors import SetupError
from tests.bench.measured import make_results, make_run, make_trace


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    save(make_results(make_run("A"), make_run("B")), path, with_arrivals=True)
    data = json.loads(path.read_text())
    assert (data["format"], data["cria"]) == (1, cria.__version__)
    assert data["machine"]["cpus"] >= 1
    assert data["subjects"][1] == {"name": "B", "place": "http://b", "model": "m", "config": None}
    assert data["settings"]["max_tokens"] == 6
    assert [load["load"]["clients"] for load in data["loads"]] == [1, 8]
    run = data["loads"][0]["runs"][0]
    assert (run["subject"], run["again"], run["round"], run["long"]) == ("A", False, 0, None)
    assert run["summary"]["generated_per_s"] == 1.5
    assert run["requests"] == [
        {
            "start": 0.0,
            "ttft": 1.0,
            "end": 4.0,
            "pieces": 3,
            "prompt_tokens": 10,
            "generated_tokens": 6,
            "error": None,
            "arrivals": [1.0, 2.0, 4.0],
        }
    ]


def test_arrivals_only_if_asked_for(tmp_path: Path) -> None:
    results = make_results(make_run("A"))
    results.loads[0].runs[0].outcome.long = make_trace()
    save(results, tmp_path / "r.json", with_arrivals=False)
    run = json.loads((tmp_path / "r.json").read_text())["loads"][0]["runs"][0]
    assert "arrivals" not in run["requests"][0]
    assert run["long"]["ttft"] == 1.0


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="Cannot write .*: Is a directory"):
        save(make_results(make_run("A")), tmp_path, with_arrivals=False)


def test_failures_are_gathered() -> None:
    results = make_results(make_run("A"))
    assert not failures(results)
    results.loads = results.loads[:1]
    bad, worse = make_trace(error="no"), make_trace(error="never")
    results.loads[0].runs[0].outcome = Outcome([bad, bad, make_trace()], long=worse)
    assert failures(results) == {"no": 2, "never": 1}
