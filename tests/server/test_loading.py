"""Requests for a model that is not loaded, over fakes whose loads a test ends."""

from __future__ import annotations

import threading

import pytest

from cria.config import ServerConfig
from cria.server import loading
from cria.server.app import create_app
from tests.fakes import FakeGeneration
from tests.generation.pool_fakes import Bench, entry


class Loads(Bench):
    """Models that answer."""

    def _open(self, entry: object) -> FakeGeneration:  # type: ignore[override]
        return FakeGeneration()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    monkeypatch.setattr(loading, "SILENT_SECONDS", 0.05)
    made = Loads(entry("fake"), entry("late"), places=9, max_loaded_models=1)
    made.pool.start()
    made.work()
    return made


def ask(loads: Loads, path: str, **fields: object) -> tuple[int, bytes]:
    app = create_app(loads.pool, ServerConfig(response_store=None))
    body = {"model": "late", **fields}
    answer = app.test_client().post(path, json=body)
    return answer.status_code, answer.data


MESSAGES: dict[str, object] = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("path", "fields", "last"),
    [
        ("/v1/completions", {"prompt": "Hi"}, b"data: [DONE]"),
        ("/v1/chat/completions", MESSAGES, b"data: [DONE]"),
        ("/v1/messages", MESSAGES, b"event: message_stop"),
        ("/v1/responses", {"input": "Hi"}, b"event: response.completed"),
    ],
)
def test_a_stream_is_told_and_goes_on(
    loads: Loads, path: str, fields: dict[str, object], last: bytes
) -> None:
    timer = threading.Timer(0.3, loads.work)
    timer.start()
    status, data = ask(loads, path, stream=True, **fields)
    timer.join()
    assert status == 200
    assert data.startswith(b": waiting for late") or data.startswith(b": loading late 0%")
    assert last in data


@pytest.mark.parametrize(
    ("path", "fields", "error"),
    [
        ("/v1/completions", {"prompt": "Hi"}, b'"code":"server_shutting_down"'),
        ("/v1/messages", MESSAGES, b"event: error"),
        ("/v1/responses", {"input": "Hi"}, b'"type":"error"'),
    ],
)
def test_a_late_failure_is_an_event(
    loads: Loads, path: str, fields: dict[str, object], error: bytes
) -> None:
    timer = threading.Timer(0.3, loads.pool.close)
    timer.start()
    status, data = ask(loads, path, stream=True, **fields)
    timer.join()
    assert (status, error in data, b"[DONE]" in data) == (200, True, False)


def test_a_whole_answer_waits(loads: Loads) -> None:
    timer = threading.Timer(0.1, loads.work)
    timer.start()
    assert ask(loads, "/v1/completions", prompt="Hi")[0] == 200
    timer.join()
