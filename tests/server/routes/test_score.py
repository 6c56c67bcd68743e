"""POST /v1/score over a fake generation."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.fakes import FakeGeneration

BODY = {"model": "fake", "prompt": "hi", "continuations": [" a"]}


def test_an_answer(client: FlaskClient, generation: FakeGeneration) -> None:
    body = client.post("/v1/score", json=BODY).get_json()
    assert (body["object"], body["id"], body["model"]) == ("list", "run-0", "fake")
    assert body["data"][0]["object"] == "score"
    assert [run.open for run in generation.runs] == [False]


def test_a_refusal(client: FlaskClient, generation: FakeGeneration) -> None:
    answer = client.post("/v1/score", json={**BODY, "continuations": []})
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, "continuations")
    assert generation.runs == []
