"""Clients that leave, engines that die, and streams that share steps."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import psutil
import pytest
import requests

from tests.real_server import REPOSITORY, RealServer, wait_for

pytestmark = pytest.mark.integration

LONG = {"model": "smollm2", "prompt": "Once", "max_tokens": 900, "ignore_eos": True}


def raw_request(server: RealServer, body: dict[str, object]) -> socket.socket:
    """Send a completion request on a socket of our own."""
    host, port = server.url.removeprefix("http://").split(":")
    data = json.dumps(body).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: [::1]\r\nContent-Length: {len(data)}\r\n\r\n"
    connection = socket.create_connection((host, int(port)), 30)
    connection.sendall(head.encode() + data)
    return connection


def engine_of(server: RealServer) -> psutil.Process:
    (engine,) = psutil.Process(server.process.pid).children()
    assert "cria.engine" in engine.cmdline()
    return engine


def wait_for_running(server: RealServer, count: int) -> None:
    wait_for(server.counters, lambda c: c["running"] == count, f"{count} running sequences")


def test_eight_streams_share_steps(server: RealServer) -> None:
    client = server.client()
    before = server.wait_until_idle()

    def read_stream(number: int) -> None:
        stream = client.completions.create(
            model="smollm2",
            prompt=f"Story {number}:",
            max_tokens=48,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        assert sum(bool(chunk.choices) for chunk in stream) > 1

    threads = [threading.Thread(target=read_stream, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = server.wait_until_idle()
    decoded = after["decode_tokens_total"] - before["decode_tokens_total"]
    steps = after["decode_steps_total"] - before["decode_steps_total"]
    assert decoded == 8 * 47, "the first token of each comes with its prompt"
    assert decoded / steps > 4, f"{decoded} tokens in {steps} steps"


def test_a_conversation_goes_on_without_computing_it_again(server: RealServer) -> None:
    client = server.client()
    messages: list[dict[str, str]] = [
        {"role": "system", "content": "Answer in rhymes about rivers and their bridges. " * 8},
        {"role": "user", "content": "Begin."},
    ]

    def ask() -> tuple[str, int, int]:
        answer = client.chat.completions.create(
            model="smollm2",
            messages=messages,  # type: ignore[arg-type]  # plain dicts, as users write them
            max_tokens=12,
            temperature=0,
        )
        usage = answer.usage
        assert usage is not None and usage.prompt_tokens_details is not None
        cached = usage.prompt_tokens_details.cached_tokens or 0
        return answer.choices[0].message.content or "", usage.prompt_tokens, cached

    text, first_tokens, _ = ask()
    messages += [
        {"role": "assistant", "content": text},
        {"role": "user", "content": "Go on."},
    ]
    _, second_tokens, cached = ask()
    assert first_tokens <= cached < second_tokens


def test_clients_with_a_common_prefix_compute_it_once(server: RealServer) -> None:
    before = server.wait_until_idle()
    common = [1000 + token for token in range(400)]
    results: list[requests.Response] = []

    def ask(number: int) -> None:
        body = {"model": "smollm2", "prompt": [*common, 50 + number], "max_tokens": 2}
        results.append(server.post("/v1/completions", body))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = server.wait_until_idle()
    assert [result.status_code for result in results] == [200] * 6
    computed = after["prefill_tokens_total"] - before["prefill_tokens_total"]
    assert computed < 600, f"{computed} tokens for one prefix of 400"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_sequence(server: RealServer, stream: bool) -> None:
    server.wait_until_idle()
    connection = raw_request(server, {**LONG, "stream": stream})
    wait_for_running(server, 1)
    connection.close()
    counters = server.wait_until_idle()
    assert counters["used_cells"] == 0


def test_a_client_that_leaves_during_prefill_frees_its_sequence(server: RealServer) -> None:
    before = server.wait_until_idle()
    connection = raw_request(server, {**LONG, "prompt": [28] * 1000, "max_tokens": 20})
    started = before["prefill_tokens_total"]
    wait_for(server.counters, lambda c: c["prefill_tokens_total"] > started, "its first chunk")
    connection.close()
    after = server.wait_until_idle()
    assert after["used_cells"] == 0
    assert after["decode_tokens_total"] - before["decode_tokens_total"] < 19


def test_a_client_that_leaves_the_queue_is_never_computed(server: RealServer) -> None:
    before = server.wait_until_idle()
    running = [raw_request(server, {**LONG, "stream": True}) for _ in range(8)]
    wait_for_running(server, 8)
    waiting = raw_request(server, {**LONG, "prompt": [28] * 500})
    wait_for(server.counters, lambda c: c["waiting"] == 1, "a waiting sequence")
    waiting.close()
    wait_for(server.counters, lambda c: c["waiting"] == 0, "an empty queue")
    for connection in running:
        connection.close()
    after = server.wait_until_idle()
    assert after["prefill_tokens_total"] - before["prefill_tokens_total"] < 100


def test_the_official_client_cancels_by_closing(server: RealServer) -> None:
    stream = server.client().completions.create(
        model="smollm2",
        prompt="Once",
        max_tokens=900,
        stream=True,
        extra_body={"ignore_eos": True},
    )
    next(iter(stream))
    stream.close()
    server.wait_until_idle()


def read_until_error(stream: Iterator[object], errors: list[openai.APIError]) -> None:
    try:
        for _ in stream:
            pass
    except openai.APIError as error:
        errors.append(error)


def test_streams_end_with_an_error_when_the_engine_is_killed_and_the_server_goes_on(
    tiny_server: RealServer,
) -> None:
    client = tiny_server.client()
    first = engine_of(tiny_server)
    streams = [
        client.completions.create(
            model="tiny",
            prompt="hello",
            max_tokens=100_000,
            stream=True,
            extra_body={"ignore_eos": True, "top_k": 1},
        )
        for _ in range(3)
    ]
    errors: list[openai.APIError] = []
    first.suspend()  # so that no stream ends by itself before the engine does
    threads = [threading.Thread(target=read_until_error, args=(s, errors)) for s in streams]
    for thread in threads:
        thread.start()
    first.kill()
    for thread in threads:
        thread.join()
    assert [error.code for error in errors] == ["engine_crashed"] * 3
    assert tiny_server.process.poll() is None
    wait_for(
        lambda: requests.get(f"{tiny_server.url}/health", timeout=10).status_code,
        lambda status: status == 200,
        "the engine to be back",
    )
    assert tiny_server.counters()["restarts"] == 1
    assert engine_of(tiny_server).pid != first.pid
    answer = client.completions.create(model="tiny", prompt="hello", max_tokens=2)
    assert answer.choices[0].finish_reason in ("stop", "length")


def test_what_waits_for_its_first_token_when_the_engine_is_killed_goes_on_with_the_next_one(
    tiny_server: RealServer,
) -> None:
    engine = engine_of(tiny_server)
    engine.suspend()
    results: list[requests.Response] = []
    thread = threading.Thread(
        target=lambda: results.append(
            tiny_server.post("/v1/completions", {"model": "tiny", "prompt": "hello"})
        )
    )
    thread.start()
    # The engine is asleep and can tell nothing: the server's connection is what shows the request.
    wait_for(
        lambda: len(psutil.Process(tiny_server.process.pid).net_connections("tcp")),
        lambda count: count >= 2,
        "the request to arrive",
    )
    engine.kill()
    thread.join()
    assert results[0].status_code == 200
    assert tiny_server.counters()["restarts"] == 1


def test_the_engine_does_not_outlive_a_killed_server(tiny_gguf: Path, tmp_path: Path) -> None:
    with RealServer.start(tiny_gguf, log=tmp_path / "log") as server:
        engine = engine_of(server)
        server.process.kill()
        engine.wait(10)
        assert not engine.is_running()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_server_and_engine(
    tiny_gguf: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with RealServer.start(tiny_gguf, log=tmp_path / "log") as server:
        engine = engine_of(server)
        os.kill(server.process.pid, number)
        assert server.process.wait(10) == 0
        assert not engine.is_running()
        assert "Traceback" not in server.log.read_text()


def test_a_file_that_llama_cpp_refuses_is_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(100))
    result = subprocess.run(
        [sys.executable, "-m", "cria", "serve", str(broken), "--port", "0"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 3
    assert str(broken) in result.stderr
    assert "Traceback" not in result.stderr
