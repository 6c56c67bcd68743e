"""What a server is asked before and during a measurement, and what its mistakes are called."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cria.bench.pool import WorkerPool
from cria.bench.server import WARM_UP_TOKENS, Server, find_model
from cria.bench.settings import Load, Settings
from cria.errors import SetupError
from tests.bench.fake_server import FakeServer

SETTINGS = Settings(prompt_words=5, max_tokens=5)


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool() as pool:
        yield pool


def make_server(fake: FakeServer, name: str = "A") -> Server:
    return Server(name, fake.url, "m", "key")


def test_the_first_model_is_taken(fake: FakeServer) -> None:
    assert find_model(fake.url, "key") == "first"
    assert fake.headers[0]["Authorization"] == "Bearer key"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b'{"error": {"message": "who?"}}', "wants another API key \\(401: who\\?\\)"),
        (503, b'{"error": {"message": "loading"}}', "is not ready \\(503: loading\\)"),
        (404, b"", "has no list of models \\(404 for /v1/models\\)"),
        (200, b"<html>", "lists no model as an OpenAI server does"),
        (200, b'{"data": []}', "lists no model"),
        (200, b"[]", "lists no model"),
    ],
)
def test_no_model(fake: FakeServer, status: int, body: bytes, words: str) -> None:
    fake.models_status, fake.models = status, body
    with pytest.raises(SetupError, match=words):
        find_model(fake.url, None)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(SetupError, match="cannot be reached: Connection refused"):
        find_model(url, None)


def test_a_good_server_passes_the_check(fake: FakeServer) -> None:
    make_server(fake).check(SETTINGS)
    assert fake.bodies[0]["model"] == "m"


def test_a_bad_server_does_not(fake: FakeServer) -> None:
    fake.status = 404
    with pytest.raises(SetupError, match="cannot be measured: HTTP 404: no such luck"):
        make_server(fake).check(SETTINGS)


def test_a_run_has_exact_sums(fake: FakeServer, pool: WorkerPool) -> None:
    (run,) = make_server(fake).measure(pool, SETTINGS, Load(clients=3), 0)
    summary = run.summary
    assert (summary.requests, summary.failed) == (3, 0)
    assert (summary.prompt_tokens, summary.generated_tokens) == (21, 15)
    assert len({body["prompt"] for body in fake.bodies}) == 3
    assert {body["max_tokens"] for body in fake.bodies} == {5}


def test_failures_are_counted(fake: FakeServer, pool: WorkerPool) -> None:
    fake.fails_from = 2
    (run,) = make_server(fake).measure(pool, SETTINGS, Load(clients=3), 0)
    assert (run.summary.requests, run.summary.failed) == (3, 1)
    assert [t.error for t in run.outcome.traces if t.error] == ["HTTP 500: enough"]


def test_the_same_prompts_again(fake: FakeServer, pool: WorkerPool) -> None:
    settings = Settings(prompt_words=5, repeat=True)
    runs = make_server(fake).measure(pool, settings, Load(clients=2), 0)
    assert [run.again for run in runs] == [False, True]
    prompts = [body["prompt"] for body in fake.bodies]
    assert sorted(prompts[:2]) == sorted(prompts[2:])


def test_prompts_are_new_for_every_round_and_server(fake: FakeServer, pool: WorkerPool) -> None:
    load = Load(clients=2)
    for name in "AB":
        server = make_server(fake, name)
        server.warm_up(pool, SETTINGS, load)
        for number in range(2):
            server.measure(pool, SETTINGS, load, number)
    assert len(fake.bodies) == len({body["prompt"] for body in fake.bodies}) == 12


def test_a_warm_up_is_short(fake: FakeServer, pool: WorkerPool) -> None:
    settings = Settings(prompt_words=5, requests=50, long_prompt=9)
    make_server(fake).warm_up(pool, settings, Load(clients=3))
    assert [body["max_tokens"] for body in fake.bodies] == [WARM_UP_TOKENS] * 3


def test_requests_by_the_clock(fake: FakeServer, pool: WorkerPool) -> None:
    settings = Settings(prompt_words=5, requests=4)
    server = make_server(fake)
    server.warm_up(pool, settings, Load(rate=500.0))
    (run,) = server.measure(pool, settings, Load(rate=500.0), 0)
    assert (run.summary.requests, run.summary.failed) == (4, 0)


def test_a_long_prompt(fake: FakeServer, pool: WorkerPool) -> None:
    settings = Settings(prompt_words=5, long_prompt=500)
    (run,) = make_server(fake).measure(pool, settings, Load(clients=2), 0)
    longest = max(fake.bodies, key=lambda body: len(body["prompt"]))
    assert (len(longest["prompt"].split()), longest["max_tokens"]) == (500, 1)
    assert run.summary.requests == 3
    assert run.summary.long_ttft_ms is not None
