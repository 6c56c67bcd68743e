"""The description of all routes, for programs and for people."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from cria.access_key import hashed
from tests.fakes import FakeGeneration
from tests.server.conftest import make_client


@pytest.mark.parametrize("path", ["/openapi.json", "/v1/openapi.json"])
def test_for_programs(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.content_type == "application/json"
    assert answer.get_json()["openapi"] == "3.1.0"
    assert "/completions" in answer.get_json()["paths"]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/docs", "/v1/docs/"])
def test_for_people(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "POST /chat/completions" in answer.text


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/"])
def test_they_need_a_key_like_any_route(generation: FakeGeneration, path: str) -> None:
    client = make_client(generation, keys=(hashed("k"),))
    assert client.get(path).status_code == 401
    allowed = client.get(path, headers={"Authorization": "Bearer k"})
    assert allowed.status_code == 200


def test_the_document_says_whether_a_key_is_needed(generation: FakeGeneration) -> None:
    client = make_client(generation, keys=(hashed("k"),))
    document = client.get("/openapi.json", headers={"Authorization": "Bearer k"}).get_json()
    assert document["security"] == [{"bearer": []}]
