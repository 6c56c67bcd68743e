"""`python -m cria bench` against a real server, and against the raw limit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real_server import REPOSITORY, RealServer

pytestmark = pytest.mark.integration

FEW = ("--rounds", "2", "--prompt-words", "12", "--max-tokens", "4")


def bench(*args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cria", "bench", *args],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_server_against_itself(server: RealServer, tmp_path: Path) -> None:
    output, picture = tmp_path / "r.json", tmp_path / "p.png"
    files = ("--output", str(output), "--plot", str(picture))
    text = bench(server.url, "--vs", f"{server.url}/v1", "--clients", "1,3", *FEW, *files)
    assert "3 clients, medians of 2 rounds" in text
    loads = json.loads(output.read_text())["loads"]
    summaries = [run["summary"] for run in loads[1]["runs"]]
    assert [summary["generated_tokens"] for summary in summaries] == [12] * 4
    assert all(summary["prompt_tokens"] >= 3 * 12 for summary in summaries)
    assert picture.stat().st_size > 1000


def test_the_raw_limit_beside_a_server(
    server: RealServer, default_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "r.json"
    engine = ("--engine", str(default_model), "--output", str(output))
    text = bench(server.url, "--clients", "2", *FEW, *engine)
    assert "A / limit" in text
    by_subject = {
        run["subject"]: run["summary"]
        for run in json.loads(output.read_text())["loads"][0]["runs"]
        if run["round"] == 0
    }
    assert by_subject["limit"]["generated_tokens"] == by_subject["A"]["generated_tokens"] == 8
    assert by_subject["limit"]["prompt_tokens"] >= 2 * 12


def test_a_rate_and_a_long_prompt(server: RealServer) -> None:
    assert "20 requests per second" in bench(server.url, "--rate", "20", "--requests", "3", *FEW)
    long = ("--long-prompt", "60", "--clients", "2", "--repeat")
    text = bench(server.url, *FEW, *long)
    assert "long prompt: first token, ms" in text
    assert "A again" in text
