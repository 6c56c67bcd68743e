"""POST /v1/embeddings over a fake generation."""

from __future__ import annotations

from flask.testing import FlaskClient

from cria.errors import EngineError
from tests.fakes import FakeGeneration

BODY = {"model": "fake", "input": "hi", "user": "u"}


def test_an_answer_and_its_warnings(client: FlaskClient, generation: FakeGeneration) -> None:
    answer = client.post("/v1/embeddings", json={**BODY, "dimensions": 2})
    assert answer.get_json() == {"embeddings": "hi", "model": "fake"}
    assert answer.headers["x-cria-warnings"] == "user, dimensions"
    assert not generation.embeddings.runs[0].open


def test_without_the_prefix_and_with_a_slash(client: FlaskClient) -> None:
    for path in ("/embeddings", "/v1/embeddings/"):
        assert client.post(path, json=BODY).status_code == 200


def test_a_refused_body_starts_nothing(client: FlaskClient, generation: FakeGeneration) -> None:
    answer = client.post("/v1/embeddings", json={**BODY, "input": ""})
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, "input")
    assert generation.embeddings.runs == []


def test_a_failure_ends_the_run(client: FlaskClient, generation: FakeGeneration) -> None:
    generation.embeddings.failure = EngineError("The engine could not embed: no memory.")
    answer = client.post("/v1/embeddings", json=BODY)
    assert (answer.status_code, answer.get_json()["error"]["type"]) == (500, "server_error")
    assert "no memory" in answer.get_json()["error"]["message"]
    assert not generation.embeddings.runs[0].open
