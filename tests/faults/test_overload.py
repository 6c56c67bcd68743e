"""More is asked than can be done: refused at once, or in time; and nobody starves."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import openai
import psutil
import pytest
import requests

from tests.real_server import PATIENCE_SECONDS, RealServer, command_line, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.fault]

OPTIONS = ("--alias", "tiny", "--parallel", "2", "--context-size", "512")


def body(max_tokens: int, **fields: object) -> dict[str, object]:
    """Random weights rarely end an answer by themselves; this one has so many tokens."""
    return {
        "model": "tiny",
        "prompt": "the cat",
        "max_tokens": max_tokens,
        "ignore_eos": True,
        **fields,
    }


@pytest.fixture
def narrow(tiny_gguf: Path, tmp_path: Path) -> Iterator[RealServer]:
    """Two slots, and sixteen may wait."""
    options = (*OPTIONS, "--max-queue", "16")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as running:
        yield running


def ask(server: RealServer, max_tokens: int, **fields: object) -> tuple[requests.Response, float]:
    began = time.monotonic()
    answer = server.post("/v1/completions", body(max_tokens, **fields))
    return answer, time.monotonic() - began


def open_stream(
    server: RealServer, max_tokens: int = 480, key: str = "none", **fields: object
) -> socket.socket:
    """A request whose client does not wait for its answer yet."""
    payload = json.dumps(body(max_tokens, stream=True, **fields)).encode()
    url = urlsplit(server.url)
    connection = socket.create_connection((url.hostname, url.port or 80))
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {url.netloc}\r\n"
    head += f"Authorization: Bearer {key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    connection.sendall(head.encode() + payload)
    return connection


@pytest.mark.slow
def test_each_of_two_hundred_requests_at_two_slots_has_one_outcome(narrow: RealServer) -> None:
    with ThreadPoolExecutor(200) as pool:
        outcomes = list(pool.map(lambda _: ask(narrow, 60), range(200)))
    statuses = Counter(answer.status_code for answer, _ in outcomes)
    assert set(statuses) == {200, 429}, "none reset, none lost"
    assert statuses[200] >= 18
    for answer, _ in outcomes:
        if answer.status_code == 200:
            assert answer.json()["usage"]["completion_tokens"] == 60
        else:
            assert answer.json()["error"]["code"] == "queue_full"
            assert answer.json()["error"]["type"] == "rate_limit_error"
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
    counters = narrow.wait_until_idle()
    assert counters["decode_tokens_total"] + statuses[200] >= 60 * statuses[200]
    assert ask(narrow, 5)[0].status_code == 200, "there is room again"


def test_a_refusal_comes_at_once_while_the_engine_is_busy(narrow: RealServer) -> None:
    streams = [open_stream(narrow) for _ in range(18)]
    try:
        wait_for(narrow.counters, lambda c: c["running"] + c["waiting"] == 18, "a full queue")
        times = []
        for _ in range(20):
            answer, seconds = ask(narrow, 400)
            if answer.status_code == 429:
                times.append(seconds)
        assert times, "the queue was full"
        assert sorted(times)[len(times) // 2] < 0.1
    finally:
        for stream in streams:
            stream.close()


def test_goodput_at_twice_the_capacity_is_not_less(narrow: RealServer) -> None:
    """Clients that come again and again: as many as there are places, and four times as many."""

    def goodput(num_clients: int) -> float:
        until = time.monotonic() + 3.0
        before = narrow.counters()["decode_tokens_total"]
        began = time.monotonic()

        def client(_: int) -> None:
            while time.monotonic() < until:
                if ask(narrow, 40)[0].status_code == 429:
                    time.sleep(0.1)  # a client that is told to come later

        with ThreadPoolExecutor(num_clients) as pool:
            list(pool.map(client, range(num_clients)))
        done = narrow.wait_until_idle()["decode_tokens_total"] - before
        return done / (time.monotonic() - began)

    usual = goodput(8)
    assert goodput(36) >= 0.5 * usual


def test_who_goes_away_leaves_room_at_once(narrow: RealServer) -> None:
    streams = [open_stream(narrow) for _ in range(18)]
    wait_for(narrow.counters, lambda c: c["running"] + c["waiting"] == 18, "a full queue")
    for stream in streams:
        stream.close()
    wait_for(lambda: ask(narrow, 1)[0].status_code, lambda status: status == 200, "room", 5.0)
    narrow.wait_until_idle()
    with ThreadPoolExecutor(18) as pool:
        outcomes = list(pool.map(lambda _: ask(narrow, 5), range(18)))
    assert {answer.status_code for answer, _ in outcomes} == {200}, "all of it is given back"


def test_what_an_engine_took_along_is_given_back(narrow: RealServer) -> None:
    streams = [open_stream(narrow) for _ in range(18)]
    wait_for(narrow.counters, lambda c: c["running"] + c["waiting"] == 18, "a full queue")
    (engine,) = [
        child
        for child in psutil.Process(narrow.process.pid).children()
        if "cria.engine" in command_line(child)
    ]
    engine.kill()
    engine.wait(PATIENCE_SECONDS)
    for stream in streams:
        stream.close()
    wait_for(
        lambda: requests.get(f"{narrow.url}/health", timeout=PATIENCE_SECONDS).status_code,
        lambda status: status == 200,
        "the next engine",
    )
    narrow.wait_until_idle()
    with ThreadPoolExecutor(18) as pool:
        outcomes = list(pool.map(lambda _: ask(narrow, 5), range(18)))
    assert {answer.status_code for answer, _ in outcomes} == {200}


def test_the_official_client_comes_again_when_there_is_room(narrow: RealServer) -> None:
    streams = [open_stream(narrow) for _ in range(18)]
    wait_for(narrow.counters, lambda c: c["running"] + c["waiting"] == 18, "a full queue")
    client = narrow.client()
    with pytest.raises(openai.RateLimitError) as caught:
        client.completions.create(model="tiny", prompt="the", max_tokens=2)
    assert caught.value.code == "queue_full"
    with ThreadPoolExecutor(1) as pool:
        patient = narrow.client(max_retries=8)
        answer = pool.submit(patient.completions.create, model="tiny", prompt="the", max_tokens=2)
        for stream in streams:
            stream.close()
        assert answer.result(PATIENCE_SECONDS).choices[0].finish_reason in ("length", "stop")


@pytest.mark.parametrize("stream", [False, True])
def test_who_waits_too_long_is_told_so_before_an_answer_has_begun(
    tiny_gguf: Path, tmp_path: Path, *, stream: bool
) -> None:
    options = (*OPTIONS, "--queue-timeout", "0.2", "--context-size", "2048")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        runs = [open_stream(server, 2000, n=2) for _ in range(4)]
        wait_for(server.counters, lambda c: c["running"] == 2, "busy slots")
        answer, seconds = ask(server, 5, stream=stream)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "queue_timeout"
        assert int(answer.headers["Retry-After"]) >= 1
        assert seconds < 5
        for run in runs:
            run.close()
        server.wait_until_idle()
        assert ask(server, 5, stream=stream)[0].status_code == 200


def test_a_large_request_goes_on_however_long_its_last_choice_waits(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    options = (*OPTIONS, "--queue-timeout", "0.05", "--max-queue", "4")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        answer, _ = ask(server, 30, n=40)
        assert answer.status_code == 200
        assert len(answer.json()["choices"]) == 40


def test_limits_without_keys_hold_for_all(tiny_gguf: Path, tmp_path: Path) -> None:
    options = (*OPTIONS, "--rate-limit-requests", "3", "--rate-limit-tokens", "1000")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        answers = [ask(server, 4)[0] for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        told = [int(answer.headers["x-ratelimit-remaining-requests"]) for answer in answers]
        assert told == [2, 1, 0, 0]
        assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 20
        assert int(answers[-1].headers["x-ratelimit-remaining-tokens"]) < 1000
        refused = server.post("/v1/chat/completions", {"model": "tiny", "messages": []})
        assert refused.headers["x-ratelimit-limit-requests"] == "3", "on every answer"


def test_a_key_that_floods_does_not_hold_up_another(tiny_gguf: Path, tmp_path: Path) -> None:
    options = (*OPTIONS, "--api-key", "flood", "--api-key", "single")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        streams = [open_stream(server, key="flood") for _ in range(50)]
        wait_for(server.counters, lambda c: c["running"] + c["waiting"] >= 48, "the flood")
        single = {"Authorization": "Bearer single"}
        answer = server.post("/v1/completions", body(5), headers=single)
        assert answer.status_code == 200
        assert server.counters()["waiting"] >= 30, "they were before it, and still wait"
        for stream in streams:
            stream.close()


def test_the_limits_of_a_key_are_its_own(tiny_gguf: Path, tmp_path: Path) -> None:
    options = (*OPTIONS, "--api-key", "one", "--api-key", "two", "--rate-limit-requests", "2")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        found = [
            server.post("/v1/completions", body(1), headers={"Authorization": f"Bearer {key}"})
            for key in ("one", "one", "one", "two", "three")
        ]
        assert [answer.status_code for answer in found] == [200, 200, 429, 200, 401]
        assert found[3].headers["x-ratelimit-remaining-requests"] == "1"
        assert "x-ratelimit-limit-requests" not in found[4].headers


def test_several_server_processes_share_one_queue(tiny_gguf: Path, tmp_path: Path) -> None:
    options = (*OPTIONS, "--max-queue", "4", "--workers", "3", "--rate-limit-requests", "100")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        with ThreadPoolExecutor(30) as pool:
            outcomes = list(pool.map(lambda _: ask(server, 200), range(30)))
        statuses = Counter(answer.status_code for answer, _ in outcomes)
        assert set(statuses) == {200, 429}
        server.wait_until_idle()
        with closing(requests.Session()) as session:
            last = session.post(f"{server.url}/v1/completions", json=body(1), timeout=30)
        taken = 100 - int(last.headers["x-ratelimit-remaining-requests"])
        # A few are earned again while this goes on.
        assert taken <= statuses[200] + 1
        assert taken >= statuses[200] * 0.5, "whichever process was asked"
