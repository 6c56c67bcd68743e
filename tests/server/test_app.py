"""What holds for every route: envelope, request id, keys, origins, no redirects."""

from __future__ import annotations

import json
import logging
import re

import pytest
from flask.testing import FlaskClient

from cria.access_key import hashed
from cria.errors import EngineUnavailable
from tests.fakes import FakeGeneration
from tests.server.conftest import make_client

BODY = {"model": "fake", "prompt": "hi"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nope", 404, None),
        ("GET", "/v1/completions", 405, "method_not_supported"),
        ("POST", "/v1/models", 405, "method_not_supported"),
        ("POST", "/v1/completions", 400, "invalid_json"),
    ],
)
def test_failures_are_envelopes(
    client: FlaskClient, method: str, path: str, status: int, code: str | None
) -> None:
    answer = client.open(path, method=method, data=b"not json")
    assert answer.status_code == status
    assert answer.content_type == "application/json"
    error = answer.get_json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code


def test_405_says_what_is_allowed(client: FlaskClient) -> None:
    assert client.get("/v1/completions").headers["Allow"] == "OPTIONS, POST"


def test_413_is_an_envelope(generation: FakeGeneration) -> None:
    client = make_client(generation, max_body_bytes=10)
    answer = client.post("/v1/completions", json=BODY)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (413, "request_too_large")


def test_a_bug_is_a_500_with_a_traceback_in_the_log(
    client: FlaskClient, generation: FakeGeneration, caplog: pytest.LogCaptureFixture
) -> None:
    generation.refusal = KeyError("secret")
    with caplog.at_level(logging.ERROR):
        answer = client.post("/v1/completions", json=BODY)
    assert answer.status_code == 500
    assert answer.get_json()["error"]["type"] == "server_error"
    assert b"secret" not in answer.data
    assert "KeyError" in caplog.text


def test_an_engine_that_is_not_ready_asks_to_come_back(
    client: FlaskClient, generation: FakeGeneration
) -> None:
    generation.refusal = EngineUnavailable("loading")
    answer = client.post("/v1/completions", json={**BODY, "stream": True})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/v1/nope"])
def test_every_answer_has_a_fresh_request_id(client: FlaskClient, path: str) -> None:
    ids = [client.get(path).headers["x-request-id"] for _ in range(2)]
    assert all(re.fullmatch("req_[0-9a-f]{32}", given) for given in ids)
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("sent", "kept"), [("my-id.1", True), ("", False), ("a b", False), ("x" * 129, False)]
)
def test_a_harmless_request_id_is_kept(client: FlaskClient, sent: str, kept: bool) -> None:
    answer = client.get("/health", headers={"X-Request-Id": sent})
    assert (answer.headers["x-request-id"] == sent) is kept


def test_warnings_are_in_a_header(client: FlaskClient) -> None:
    plain = client.post("/v1/completions", json={**BODY, "foo": 1})
    stream = client.post("/v1/completions", json={**BODY, "foo": 1, "stream": True})
    assert plain.headers["x-cria-warnings"] == stream.headers["x-cria-warnings"] == "foo"
    assert "x-cria-warnings" not in client.post("/v1/completions", json=BODY).headers


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_no_redirects(client: FlaskClient, prefix: str, slash: str) -> None:
    statuses = [
        client.get(f"{prefix}/models{slash}").status_code,
        client.get(f"{prefix}/models/fake{slash}").status_code,
        client.get(f"{prefix}/health{slash}").status_code,
        client.post(f"{prefix}/completions{slash}", json=BODY).status_code,
        client.post(
            f"{prefix}/chat/completions{slash}",
            json={"model": "fake", "messages": [{"role": "user", "content": "hi"}]},
        ).status_code,
        client.get(f"/v1//models{slash}").status_code,
    ]
    assert statuses == [200, 200, 200, 200, 200, 404]


def test_any_content_type_is_read_as_json(client: FlaskClient) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", None):
        answer = client.post("/v1/completions", data=json.dumps(BODY), content_type=content_type)
        assert answer.status_code == 200


def test_head_and_options_are_answered(client: FlaskClient) -> None:
    head = client.head("/v1/models")
    assert (head.status_code, head.data) == (200, b"")
    assert "POST" in client.options("/v1/completions").headers["Allow"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/models"), ("GET", "/v1/nope"), ("GET", "/v1/completions")]
)
def test_a_missing_key_comes_before_route_and_method(
    generation: FakeGeneration, method: str, path: str
) -> None:
    client = make_client(generation, keys=(hashed("k"),))
    answer = client.open(path, method=method)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.get_json()["error"]["code"] is None


def test_a_missing_key_comes_before_the_body(generation: FakeGeneration) -> None:
    client = make_client(generation, keys=(hashed("k"),), max_body_bytes=1)
    assert client.post("/v1/completions", data=b"too long").status_code == 401


def test_a_right_key_is_let_in_and_health_needs_none(generation: FakeGeneration) -> None:
    client = make_client(generation, keys=(hashed("k"),))
    headers = {"Authorization": "Bearer k"}
    assert client.post("/v1/completions", json=BODY, headers=headers).status_code == 200
    assert client.get("/health").status_code == 200
    assert client.get("/v1/models", headers={"Authorization": "Bearer x"}).status_code == 401


def test_a_foreign_page_is_refused_and_starts_nothing(
    client: FlaskClient, generation: FakeGeneration
) -> None:
    answer = client.post("/v1/completions", json=BODY, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert set(answer.get_json()["error"]) == {"message", "type", "param", "code"}
    assert generation.runs == []
