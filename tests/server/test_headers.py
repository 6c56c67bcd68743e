"""The headers that every answer has."""

from __future__ import annotations

import logging

import pytest
from flask.testing import FlaskClient

from cria.access_key import hashed
from cria.server.headers import request_id
from tests.fakes import FakeGeneration
from tests.server.conftest import make_client


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/health"), ("GET", "/nope"), ("POST", "/v1/completions")]
)
def test_version_and_time_are_on_every_answer(client: FlaskClient, method: str, path: str) -> None:
    headers = client.open(path, method=method).headers
    assert headers["openai-version"] == "2020-10-01"
    assert 0 <= int(headers["openai-processing-ms"]) < 60_000
    assert headers["x-request-id"]


def test_they_are_on_a_stream_and_on_a_refusal_of_strangers(generation: FakeGeneration) -> None:
    client = make_client(generation, keys=(hashed("k"),))
    body = {"model": "fake", "prompt": "hi", "stream": True}
    stream = client.post("/v1/completions", json=body, headers={"Authorization": "Bearer k"})
    for answer in (stream, client.get("/v1/models")):
        assert answer.headers["openai-version"] == "2020-10-01"
        assert answer.headers["openai-processing-ms"].isdigit()


def test_a_harmless_id_is_kept_and_another_replaced() -> None:
    assert request_id("a.b-1_2") == "a.b-1_2"
    assert request_id("a\nb").startswith("req_")


def test_a_clients_own_id_is_in_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    sent = {"X-Client-Request-Id": "order 66", "X-Request-Id": "mine"}
    with caplog.at_level(logging.DEBUG):
        assert client.get("/health", headers=sent).status_code == 200
    assert "request mine is the client's order 66" in caplog.text


@pytest.mark.parametrize("sent", ["x" * 513, "a\tb", "\xe9"])
def test_an_id_that_is_no_plain_text_is_refused(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = client.get("/health", headers={"X-Client-Request-Id": sent})
    assert answer.status_code == 400
    assert answer.get_json()["error"]["param"] == "X-Client-Request-Id"
    assert "is the client's" not in caplog.text
    assert client.get("/health", headers={"X-Client-Request-Id": "x" * 512}).status_code == 200
