"""Orders about models and their events; with real engines: tests/integration."""

from __future__ import annotations

import json

from flask.testing import FlaskClient

from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server.routes.managing import ModelWatcher
from tests.fakes import FakeGeneration
from tests.generation.pool_fakes import Bench, entry


def test_orders_that_make_no_sense(client: FlaskClient) -> None:
    for path, model, status in (("load", "fake", 400), ("unload", "nope", 404), ("load", 1, 400)):
        answer = client.post(f"/models/{path}", json={"model": model})
        assert answer.status_code == status
        assert answer.get_json()["error"]["param"] == "model"


def test_a_watcher_tells_what_changes_and_what_it_may() -> None:
    bench = Bench(entry("a"), entry("b"), places=1).started()
    watcher = ModelWatcher(bench.pool, 15.0, lambda: False)
    frames = watcher.frames(["b"])
    first = json.loads(next(frames).removeprefix(b"data: "))
    assert first == {"model": "b", "event": "model_status", "data": {"status": "unloaded"}}
    bench.pool.load("b")
    bench.work()
    assert b'"loaded"' in next(frames)
    watcher.cancel()
    assert list(frames) == []


def test_silence_is_broken_and_the_end_of_the_server_ends_it() -> None:
    pool = ModelPool.of(FakeGeneration(), ServerConfig())  # type: ignore[arg-type]
    is_over: list[bool] = []
    frames = ModelWatcher(pool, 0.25, lambda: bool(is_over)).frames(["fake"])
    next(frames)
    assert next(frames) == b": ping\n\n"
    is_over.append(True)
    assert list(frames) == []
