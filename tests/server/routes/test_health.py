"""GET /health: llama-server's shape, with the engine's counters."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from cria.generation.engine_status import EngineStatus
from tests.fakes import FakeGeneration


def test_the_probes(client: FlaskClient, generation: FakeGeneration) -> None:
    for prefix in ("", "/v1"):
        assert client.get(prefix + "/readyz").get_json() == {"status": "ready"}
        assert client.get(prefix + "/livez").get_json() == {"status": "live"}


@pytest.mark.parametrize(
    ("status", "lives"),
    [
        (EngineStatus("loading"), 200),
        (EngineStatus("down"), 200),
        (EngineStatus("down", reason="no memory"), 503),
    ],
)
def test_a_server_without_an_engine_may_live(
    client: FlaskClient, generation: FakeGeneration, status: EngineStatus, lives: int
) -> None:
    generation.engine = status
    assert client.get("/readyz").status_code == 503
    assert client.get("/livez").status_code == lives


def test_ready(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.get_json() == {
        "status": "ok",
        "engine": {
            "running": 0,
            "waiting": 2,
            "used_cells": 3,
            "cached_cells": 0,
            "steps_total": 4,
            "prefill_tokens_total": 5,
            "decode_tokens_total": 6,
            "decode_steps_total": 7,
            "cached_tokens_total": 8,
            "preemptions_total": 0,
            "stalls_ms": {},
            "embedded_inputs_total": 0,
            "embedded_tokens_total": 0,
            "restarts": 0,
        },
    }


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (EngineStatus("loading"), "Loading model"),
        (EngineStatus("down"), "The engine is down"),
        (EngineStatus("down", reason="no memory"), "no memory"),
        (EngineStatus("unresponsive"), "The engine gives no sign of life"),
    ],
)
def test_not_ready(
    client: FlaskClient, generation: FakeGeneration, status: EngineStatus, message: str
) -> None:
    generation.engine = status
    answer = client.get("/v1/health")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    reason = "engine_unresponsive" if status.state == "unresponsive" else "model_loading"
    assert answer.get_json()["error"] == {
        "code": 503,
        "message": message,
        "type": "unavailable_error",
        "param": None,
        "reason": reason,
    }
