"""POST /v1/rerank over a fake generation."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.fakes import FakeGeneration

BODY = {"model": "fake", "query": "q", "documents": ["a"]}


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v1/reranking", "/v1/rerank/"])
def test_an_answer(client: FlaskClient, generation: FakeGeneration, path: str) -> None:
    assert client.post(path, json=BODY).get_json() == {"ranking": "q", "model": "fake"}
    assert not generation.embeddings.runs[0].open


def test_a_refused_body_starts_nothing(client: FlaskClient, generation: FakeGeneration) -> None:
    answer = client.post("/v1/rerank", json={**BODY, "documents": []})
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, "documents")
    assert generation.embeddings.runs == []
