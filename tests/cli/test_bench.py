"""`cria bench` against a server that streams what a test tells it to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from cria.cli.bench_options import BENCH_OPTIONS
from cria.errors import SetupError
from tests.bench.fake_server import GOOD, FakeServer

Run = Callable[..., Result]

SMALL = ("--clients", "2", "--rounds", "2", "--prompt-words", "5", "--max-tokens", "5")


@pytest.fixture
def bench(run: Run) -> Run:
    def invoke(*args: str, **environment: str) -> Result:
        return run("bench", *args, **environment)

    return invoke


def test_one_server(bench: Run, fake: FakeServer) -> None:
    result = bench(fake.url, *SMALL)
    assert result.exit_code == 0, result.output
    assert f"A: {fake.url}, model first\n" in result.stdout
    assert "2 clients, medians of 2 rounds" in result.stdout
    assert "generated tokens             10\n" in result.stdout
    assert "2 clients, round 2 of 2, A: " in result.stderr
    assert "Note" not in result.stdout
    assert len(fake.bodies) == 1 + 2 + 2 * 2  # the check, the warm-up, and two rounds


def test_two_servers_and_files(bench: Run, fake: FakeServer, tmp_path: Path) -> None:
    output, picture = tmp_path / "r.json", tmp_path / "p.png"
    files = ("--output", str(output), "--plot", str(picture), "--arrivals")
    url = fake.url.replace("http://", "http://user:secret@")
    result = bench(url, "--vs", fake.url + "/v1", *SMALL, *files, "--api-key", "sec-ret")
    assert result.exit_code == 0, result.output
    assert "A / B" in result.stdout
    data = json.loads(output.read_text())
    assert [subject["place"] for subject in data["subjects"]] == [fake.url] * 2
    assert [run["subject"] for run in data["loads"][0]["runs"]] == ["A", "B", "B", "A"]
    assert len(data["loads"][0]["runs"][0]["requests"][0]["arrivals"]) == 3
    assert "secret" not in output.read_text() + result.output
    assert "sec-ret" not in output.read_text() + result.output
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_a_key_goes_only_where_it_is_meant_to(bench: Run, fake: FakeServer) -> None:
    bench(fake.url, "--vs", fake.url, *SMALL, CRIA_BENCH_VS_API_KEY="other")
    keys = {headers.get("Authorization") for headers in fake.headers}
    assert keys == {None, "Bearer other"}


def test_models_may_be_named(bench: Run, fake: FakeServer) -> None:
    fake.models_status = 404
    result = bench(fake.url, "--model", "x", "--vs", fake.url, "--vs-model", "y", *SMALL)
    assert result.exit_code == 0, result.output
    assert {body["model"] for body in fake.bodies} == {"x", "y"}


def test_the_environment(bench: Run, fake: FakeServer) -> None:
    environment = {"CLIENTS": "1", "ROUNDS": "1", "MAX_TOKENS": "9", "IGNORE_EOS": "0"}
    variables = {f"CRIA_BENCH_{name}": value for name, value in environment.items()}
    result = bench(fake.url, **variables, CRIA_MODEL="of serve")
    assert "1 client, 1 round\n" in result.stdout
    assert {body["model"] for body in fake.bodies} == {"first"}
    assert fake.bodies[-1]["max_tokens"] == 9
    assert "ignore_eos" not in fake.bodies[-1]


def test_rates_instead_of_clients(bench: Run, fake: FakeServer) -> None:
    result = bench(fake.url, "--rate", "200,400.5", "--requests", "3", "--rounds", "1")
    assert "200 requests per second, 1 round" in result.stdout
    assert "400.5 requests per second, 1 round" in result.stdout


def test_the_same_seed_gives_the_same_prompts(bench: Run, fake: FakeServer) -> None:
    for _ in range(2):
        bench(fake.url, "--seed", "7", "--clients", "1", "--rounds", "1")
    prompts = [body["prompt"] for body in fake.bodies]
    assert prompts[:3] == prompts[3:]
    assert len(set(prompts)) == 3


def test_the_raw_limit_alone(bench: Run, tiny_gguf: Path, tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    engine = ("--engine", str(tiny_gguf), "--threads", "1", "--kv", "streams")
    result = bench(*engine, *SMALL, "--output", str(output))
    assert result.exit_code == 0, result.output
    assert f"limit: {tiny_gguf}\n" in result.stdout
    assert "generated tokens/s in decode" in result.stdout
    data = json.loads(output.read_text())
    assert data["subjects"][0]["config"]["kv_layout"] == "streams"
    assert data["loads"][0]["runs"][0]["summary"]["generated_tokens"] == 10


def test_the_raw_limit_of_no_model(bench: Run) -> None:
    result = bench("--engine", "/no/such.gguf")
    assert str(result.exception) == (
        "Cannot read the model file /no/such.gguf: No such file or directory."
    )


def test_a_failed_request_is_exit_code_1(bench: Run, fake: FakeServer, tmp_path: Path) -> None:
    fake.fails_from = 4
    output = tmp_path / "r.json"
    result = bench(fake.url, *SMALL, "--output", str(output))
    assert result.exit_code == 1
    assert isinstance(result.exception, SetupError)
    assert str(result.exception) == "3 of 4 requests failed: 3 x HTTP 500: enough."
    assert "round 2 of 2, A: 0.0 tokens/s, 2 of 2 requests failed" in result.stderr
    assert "generated tokens" in result.stdout
    assert len(json.loads(output.read_text())["loads"][0]["runs"]) == 2


def test_notes_are_shown(bench: Run, fake: FakeServer) -> None:
    fake.answer = (*GOOD[:-2], GOOD[-1])
    assert "Note: A reports no usage" in bench(fake.url, *SMALL).stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "Give the URL of a server"),
        (["--vs", "u"], "Give the URL"),
        (["--engine", "m", "--vs", "u"], "give its URL first"),
        (["u", "--clients", "a"], "'a' is not a list of numbers"),
        (["u", "--clients", "1,,2"], "is not a list of numbers"),
        (["u", "--clients", "0"], "must hold numbers above 0"),
        (["u", "--clients", "1.5"], "is not a list of numbers"),
        (["u", "--clients", "100000"], "at most 4096"),
        (["u", "--rate", "nan"], "must hold numbers above 0"),
        (["u", "--rate", "inf"], "must hold numbers above 0"),
        (["u", "--rate", "1", "--long-prompt", "9"], "does not go with --rate"),
        (["u", "--rate", "1", "--engine", "m"], "does not go with --rate"),
        (["u", "--clients", "1,300", "--engine", "m"], "does not go with --clients 300"),
        (["u", "--prompt-words", "0"], "A prompt needs words"),
        (["u", "--rounds", "0"], "0 is not in the range"),
        (["u", "--temperature", "-1"], "-1.0 is not in the range"),
        (["u", "--timeout", "0"], "0.0 is not in the range"),
        (["u", "--api-key", "se cret"], "visible ASCII"),
    ],
)
def test_nonsense_is_one_sentence(bench: Run, args: list[str], words: str) -> None:
    result = bench(*args)
    assert result.exit_code == 2
    assert words in result.output


@pytest.mark.parametrize("option", ["--output", "--plot"])
def test_a_place_for_a_file_is_looked_at_first(bench: Run, tmp_path: Path, option: str) -> None:
    result = bench("http://localhost", option, str(tmp_path / "none" / "f.png"))
    assert "there is no folder" in str(result.exception)


def test_a_server_that_is_not_there(bench: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = bench(f"http://127.0.0.1:{port}")
    assert result.exit_code == 1
    assert str(result.exception) == (
        f"http://127.0.0.1:{port} cannot be reached: Connection refused."
    )


def test_an_unknown_model_of_the_server(bench: Run, fake: FakeServer) -> None:
    fake.status = 404
    result = bench(fake.url, "--model", "x")
    assert str(result.exception) == (f"{fake.url} cannot be measured: HTTP 404: no such luck.")


def test_an_interruption_ends_it_at_once_and_keeps_what_is_complete(
    fake: FakeServer, tmp_path: Path
) -> None:
    arrived, gate = threading.Event(), threading.Event()

    def hold() -> None:
        if len(fake.bodies) > 3:  # a check, a warm-up, and one run of one client
            arrived.set()
            gate.wait()

    fake.hold = hold
    output = tmp_path / "r.json"
    args = ("--clients", "1,2", "--rounds", "1", "--output", str(output))
    command = [sys.executable, "-m", "cria", "bench", fake.url, *args]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert arrived.wait(60)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to it and to its children
        _, errors = process.communicate(timeout=60)
    gate.set()
    assert process.returncode == 1
    assert errors.splitlines()[-1] == "Aborted!"
    assert "Traceback" not in errors
    assert len(json.loads(output.read_text())["loads"]) == 1


def test_every_option_is_explained_and_has_its_variable(bench: Run) -> None:
    text = " ".join(bench("--help").output.split())
    assert len(BENCH_OPTIONS) == text.count("CRIA_BENCH_")


@pytest.mark.parametrize("option", ["--temperature", "--timeout"])
def test_no_number_is_in_no_range(bench: Run, option: str) -> None:
    result = bench("http://127.0.0.1:1", option, "nan")
    assert result.exit_code == 2
    assert "'nan' is not a number." in result.output
