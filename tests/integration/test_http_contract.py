"""HTTP around the API: headers, keys, errors and retries, as the official client meets them."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
import requests

from tests.real_server import PATIENCE_SECONDS, REPOSITORY, RealServer, command_line, wait_for

pytestmark = pytest.mark.integration

KEY = "a-key"
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def locked(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A server that wants a key."""
    options = ("--alias", "tiny", "--api-key", KEY, "--parallel", "2", "--context-size", "256")
    log = tmp_path_factory.mktemp("locked") / "log"
    with RealServer.start(tiny_gguf, *options, log=log) as running:
        yield running


def ask(client: openai.OpenAI, **options: object) -> None:
    body: dict[str, object] = {"model": "tiny", "messages": HI, "max_tokens": 1, **options}
    client.chat.completions.create(**body)  # type: ignore[call-overload]


class TestKeys:
    @pytest.mark.parametrize("stream", [False, True])
    def test_a_wrong_key_is_an_authentication_error(self, locked: RealServer, stream: bool) -> None:
        with pytest.raises(openai.AuthenticationError) as caught:
            ask(locked.client(api_key="another"), stream=stream)
        assert caught.value.code == "invalid_api_key"
        assert caught.value.type == "invalid_request_error"
        assert caught.value.request_id
        assert caught.value.response.headers["www-authenticate"] == "Bearer"
        assert "another" not in caught.value.message

    def test_no_key_is_one_too(self, locked: RealServer) -> None:
        with pytest.raises(openai.AuthenticationError) as caught:
            ask(locked.client(), extra_headers={"Authorization": openai.Omit()})
        assert caught.value.code is None

    def test_the_right_key_is_let_in(self, locked: RealServer) -> None:
        ask(locked.client(api_key=KEY))
        assert [model.id for model in locked.client(api_key=KEY).models.list()] == ["tiny"]

    def test_health_needs_none(self, locked: RealServer) -> None:
        assert requests.get(f"{locked.url}/health", timeout=10).status_code == 200
        assert requests.get(f"{locked.url}/v1/models", timeout=10).status_code == 401


CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/v1/nope", None, 404, "Invalid URL (GET /v1/nope)"),
        ("POST", "/nope", "{}", 404, "Invalid URL (POST /nope)"),
        ("GET", CHAT, None, 405, "Not allowed to GET on /v1/chat/completions."),
        ("POST", CHAT, "{", 400, "could not parse the JSON body"),
        ("POST", CHAT, "[1]", 400, "object"),
        ("POST", CHAT, "", 400, "could not parse the JSON body"),
    ],
)
def test_every_failure_is_json_of_one_shape(
    server_url: str, method: str, path: str, body: str | None, status: int, words: str
) -> None:
    answer = requests.request(method, f"{server_url}{path}", data=body, timeout=PATIENCE_SECONDS)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["code"] == {400: "invalid_json", 405: "method_not_supported"}.get(status)
    assert words in error["message"]
    assert ("POST" in answer.headers.get("allow", "")) == (status == 405)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": HI}),
        ("/v1/completions", {"prompt": "Once"}),
    ],
)
def test_a_streams_headers_and_last_bytes(
    server: RealServer, path: str, body: dict[str, object]
) -> None:
    answer = server.post(
        path,
        {"model": "smollm2", "max_tokens": 2, "stream": True, **body},
        headers={"Accept-Encoding": "gzip, deflate"},
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "content-encoding" not in answer.headers
    frames = answer.content.split(b"\n\n")
    assert frames[-2:] == [b"data: [DONE]", b""]
    assert all(frame.startswith(b"data: {") and b"\n" not in frame for frame in frames[:-2])


def engine_of(pid: int) -> psutil.Process | None:
    """The server's engine, if it has started it."""
    children = psutil.Process(pid).children()
    return next((child for child in children if "cria.engine" in command_line(child)), None)


@pytest.mark.slow
def test_a_stream_in_silence_sends_comments(tiny_server: RealServer) -> None:
    engine = engine_of(tiny_server.process.pid)
    assert engine is not None
    engine.suspend()  # a prompt that takes long
    with requests.post(
        f"{tiny_server.url}/v1/completions",
        json={"model": "tiny", "prompt": "hello", "max_tokens": 2, "stream": True},
        stream=True,
        timeout=PATIENCE_SECONDS,
    ) as answer:
        assert answer.status_code == 200, "before the first token"
        lines = answer.iter_lines()
        assert next(lines).startswith(b": ")
        engine.resume()
        assert [line for line in lines if line][-1] == b"data: [DONE]"


class Exchange:
    """What the official client sends and gets, request by request."""

    def __init__(self) -> None:
        self.retry_counts: list[str] = []
        self.statuses: list[int] = []
        self.retry_after: list[str | None] = []
        self.answered = threading.Event()
        self.go_on = threading.Event()

    def client(self, url: str, max_retries: int = 2) -> openai.OpenAI:
        hooks = {"request": [self._sent], "response": [self._got]}
        return openai.OpenAI(
            base_url=f"{url}/v1",
            api_key="none",
            max_retries=max_retries,
            http_client=openai.DefaultHttpxClient(event_hooks=hooks),
        )

    def _sent(self, request: Any) -> None:
        self.retry_counts.append(request.headers["x-stainless-retry-count"])

    def _got(self, response: Any) -> None:
        self.statuses.append(response.status_code)
        self.retry_after.append(response.headers.get("retry-after"))
        if response.status_code == 503:
            self.answered.set()
            self.go_on.wait(PATIENCE_SECONDS)


@contextmanager
def loading_server(model: Path, log: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A server whose engine is stopped before it has loaded; its address, and the engine."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "cria", "serve", str(model), "--port", str(port)]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=errors
        ) as process,
    ):
        try:
            engine = wait_for(lambda: engine_of(process.pid), bool, "the engine's process")
            engine.suspend()
            wait_for(lambda: accepts(port), bool, "the server to listen")
            yield f"http://127.0.0.1:{port}", engine
        finally:
            engine.resume()
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_a_client_that_comes_while_the_model_loads_is_served(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    exchange = Exchange()
    with loading_server(tiny_gguf, tmp_path / "log") as (url, engine):
        with exchange.client(url) as client:
            thread = threading.Thread(target=ask, args=(client,), kwargs={"model": "tiny"})
            thread.start()
            assert exchange.answered.wait(PATIENCE_SECONDS)
            engine.resume()
            wait_for(
                lambda: requests.get(f"{url}/health", timeout=10).status_code,
                lambda status: status == 200,
                "the model to be loaded",
            )
            exchange.go_on.set()
            thread.join()
    assert exchange.statuses == [503, 200]
    assert exchange.retry_after == ["1", None]
    assert exchange.retry_counts == ["0", "1"]


def test_what_is_wrong_is_asked_once(server: RealServer) -> None:
    exchange = Exchange()
    with exchange.client(server.url) as client, pytest.raises(openai.BadRequestError):
        ask(client, model="smollm2", temperature=3)
    with exchange.client(server.url) as client, pytest.raises(openai.BadRequestError):
        ask(client, model="smollm2", messages=[{"role": "user", "content": "word " * 2000}])
    assert exchange.statuses == [400, 400]
    assert exchange.retry_counts == ["0", "0"]
