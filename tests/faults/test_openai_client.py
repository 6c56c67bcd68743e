"""What the official client makes of each failure: the right class, and no second try in vain.

The real application over a generation that fails as it is told to, on a real socket; the connection
that breaks is behind the proxy of `toxic_proxy.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from werkzeug.serving import make_server

from cria.access_key import hashed
from cria.api.chat import ChatCompletionRequest
from cria.api.events import ChoiceDelta
from cria.config import ServerConfig
from cria.errors import (
    AuthenticationFailed,
    ContextLengthExceeded,
    CriaError,
    EngineDied,
    EngineUnavailable,
    ModelNotFound,
    NativeError,
    QueueFull,
    QueueTimeout,
    RateLimited,
    RequestError,
    RequestQuarantined,
    ServerStopping,
)
from cria.generation.model_pool import ModelPool
from cria.server.app import create_app
from tests.fakes import HELLO, FakeGeneration, FakeRun
from tests.faults.toxic_proxy import Toxic, toxic_proxy
from tests.server.process import fake_server

pytestmark = pytest.mark.fault

KEY = "a-key"
LIMIT = 4000
HI: list[Any] = [{"role": "user", "content": "Hi"}]
IN_VAIN: list[tuple[CriaError, type[openai.APIStatusError], int]] = [
    (RequestError("no", param="top_p"), openai.BadRequestError, 400),
    (ContextLengthExceeded(99, 9, param="messages"), openai.BadRequestError, 400),
    (RequestQuarantined("twice"), openai.BadRequestError, 400),
    (AuthenticationFailed("who?"), openai.AuthenticationError, 401),
    (ModelNotFound("x"), openai.NotFoundError, 404),
    (EngineDied("perhaps because of it", may_retry=False), openai.InternalServerError, 503),
]
"""To send it again would end the same, or worse."""
MAY_SUCCEED: list[tuple[CriaError, type[openai.APIStatusError], int]] = [
    (RateLimited("too many", retry_after=1), openai.RateLimitError, 429),
    (QueueFull("too many", retry_after=1), openai.RateLimitError, 429),
    (EngineUnavailable("loading"), openai.InternalServerError, 503),
    (EngineUnavailable("hangs", code="engine_unresponsive"), openai.InternalServerError, 503),
    (EngineDied("of another's", may_retry=True), openai.InternalServerError, 503),
    (QueueTimeout("too long"), openai.InternalServerError, 503),
    (ServerStopping("bye"), openai.InternalServerError, 503),
    (NativeError("a step failed"), openai.InternalServerError, 500),
]


class Failing(FakeGeneration):
    """The first requests fail, at once or after a word; the others say hello."""

    def __init__(self, error: Exception | None = None, times: int = 1_000_000) -> None:
        super().__init__()
        self.error = error
        self.times = times
        self.after_a_word = False
        self.num_asked = 0

    def start_chat(self, request: ChatCompletionRequest) -> FakeRun:
        self.num_asked += 1
        if self.error is None or self.num_asked > self.times:
            return FakeRun(HELLO, self.num_asked)
        if self.after_a_word:
            return FakeRun([ChoiceDelta(0, "Hel"), self.error], self.num_asked)
        raise self.error


@contextmanager
def serving(generation: FakeGeneration, **settings: Any) -> Iterator[str]:
    """The address of an application."""
    app = create_app(ModelPool.of(generation), ServerConfig(**settings))  # type: ignore[arg-type]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Counted:
    """The official client, and how often it has asked."""

    def __init__(self, url: str, retries: int = 1, key: str = KEY) -> None:
        self.num_sent = 0
        self.client = openai.OpenAI(
            base_url=f"{url}/v1",
            api_key=key,
            max_retries=retries,
            http_client=openai.DefaultHttpxClient(event_hooks={"request": [self._count]}),
        )

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def ask(self, **options: Any) -> ChatCompletion:
        wanted = {"model": "fake", "messages": HI, **options}
        answer: ChatCompletion = self.client.chat.completions.create(**wanted)
        return answer

    def read(self, text: list[str], messages: list[Any] = HI) -> None:
        """A stream, into `text`."""
        stream = self.client.chat.completions.create(model="fake", messages=messages, stream=True)
        for chunk in stream:
            text += [choice.delta.content or "" for choice in chunk.choices]

    def _count(self, _: object) -> None:
        self.num_sent += 1


def named(case: tuple[CriaError, type[openai.APIStatusError], int]) -> str:
    return f"{type(case[0]).__name__}-{case[0]}"


@pytest.mark.parametrize("case", IN_VAIN, ids=named)
def test_what_cannot_succeed_is_asked_once(
    case: tuple[CriaError, type[openai.APIStatusError], int],
) -> None:
    error, kind, status = case
    generation = Failing(error)
    with serving(generation) as url, Counted(url) as counted:
        with pytest.raises(kind) as caught:
            counted.ask()
        assert type(caught.value) is kind
        assert caught.value.status_code == status
        assert caught.value.body is not None and set(caught.value.body) == {  # type: ignore[call-overload]
            "message",
            "type",
            "param",
            "code",
        }
        assert str(error) in caught.value.message
        assert caught.value.request_id
    assert generation.num_asked == 1


@pytest.mark.parametrize("case", MAY_SUCCEED, ids=named)
def test_what_may_succeed_is_asked_again_and_does(
    case: tuple[CriaError, type[openai.APIStatusError], int],
) -> None:
    error, _, _ = case
    generation = Failing(error, times=1)
    with serving(generation) as url, Counted(url) as counted:
        assert counted.ask().choices[0].message.content == "Hello world"
        assert counted.num_sent == generation.num_asked == 2


@pytest.mark.parametrize("case", MAY_SUCCEED, ids=named)
def test_what_does_not_get_better_is_named(
    case: tuple[CriaError, type[openai.APIStatusError], int],
) -> None:
    error, kind, status = case
    with serving(Failing(error)) as url, Counted(url, retries=0) as counted:
        with pytest.raises(kind) as caught:
            counted.ask()
        assert type(caught.value) is kind
        assert caught.value.status_code == status
        assert caught.value.code
        if status != 500:
            assert int(caught.value.response.headers["retry-after"]) >= 1


def test_a_wrong_key_another_sites_page_and_a_wrong_path() -> None:
    generation = Failing()
    with serving(generation, keys=(hashed(KEY),)) as url:
        with Counted(url, key="another") as stranger, pytest.raises(openai.AuthenticationError):
            stranger.ask()
        with Counted(url) as counted:
            with pytest.raises(openai.PermissionDeniedError):
                counted.ask(extra_headers={"Origin": "http://evil.example"})
            with pytest.raises(openai.NotFoundError):
                counted.client.get("/nothing", cast_to=object)
            assert counted.ask().choices[0].finish_reason == "stop"
            assert counted.num_sent == 3
        assert stranger.num_sent == 1
    assert generation.num_asked == 1


def test_a_body_that_is_too_large() -> None:
    with serving(Failing(), max_body_bytes=LIMIT) as url, Counted(url) as counted:
        with pytest.raises(openai.APIStatusError) as caught:
            counted.ask(messages=[{"role": "user", "content": "x" * LIMIT}])
        assert caught.value.status_code == 413
        assert counted.num_sent == 1


@pytest.mark.parametrize(
    "error", [case[0] for case in (*IN_VAIN[5:], *MAY_SUCCEED)], ids=lambda e: type(e).__name__
)
def test_an_error_in_a_stream_is_raised_and_not_tried_again(error: CriaError) -> None:
    """Its first words may have been shown to somebody."""
    generation = Failing(error)
    generation.after_a_word = True
    text: list[str] = []
    with serving(generation) as url, Counted(url, retries=2) as counted:
        with pytest.raises(openai.APIError) as caught:
            counted.read(text)
        assert str(error) in caught.value.message
        assert counted.num_sent == 1
    assert "".join(text) == "Hel"


def test_a_mistake_of_ours_in_a_stream_is_raised_too() -> None:
    generation = Failing(ZeroDivisionError("our bug"))
    generation.after_a_word = True
    with serving(generation) as url, Counted(url) as counted:
        with pytest.raises(openai.APIError) as caught:
            counted.read([])
        assert "our bug" not in caught.value.message


@pytest.mark.parametrize("end", ["fin", "reset"])
def test_a_stream_without_its_closing_chunk_is_no_success(tmp_path: Path, end: str) -> None:
    """Whole events come, and the connection ends in its midst: in order, or not."""
    text: list[str] = []
    with (
        fake_server(tmp_path / "log") as server,
        toxic_proxy(server.url, Toxic(limit_bytes=3000, end=end)) as proxy,
        Counted(proxy.url, retries=2) as counted,
    ):
        with pytest.raises(openai.APIConnectionError):
            counted.read(text, [{"role": "user", "content": "long"}])
        assert counted.num_sent == 1
    assert "".join(text).startswith("xx")


def test_a_whole_answer_that_is_cut_is_asked_for_again() -> None:
    """Nobody has seen any of it."""
    generation = Failing()
    with (
        serving(generation) as url,
        toxic_proxy(url, Toxic(limit_bytes=300, end="reset")) as proxy,
        Counted(proxy.url) as counted,
    ):
        with pytest.raises(openai.APIConnectionError):
            counted.ask()
        assert counted.num_sent == generation.num_asked == 2


def test_nobody_listens() -> None:
    with serving(Failing()) as url:
        pass
    with Counted(url) as counted, pytest.raises(openai.APIConnectionError):
        counted.ask()
