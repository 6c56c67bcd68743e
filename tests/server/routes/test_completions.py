"""POST /v1/completions over a fake generation."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from cria.api.events import ChoiceDelta
from cria.errors import EngineDied
from tests.fakes import FakeGeneration

BODY = {"model": "fake", "prompt": "hi"}


def test_a_whole_answer(client: FlaskClient) -> None:
    answer = client.post("/v1/completions", json=BODY)
    body = answer.get_json()
    assert (body["object"], body["id"], body["model"]) == ("text_completion", "run-0", "fake")
    assert body["choices"] == [
        {"text": "Hello world", "index": 0, "logprobs": None, "finish_reason": "stop"}
    ]
    assert body["usage"]["total_tokens"] == 5


def test_a_stream(client: FlaskClient, generation: FakeGeneration) -> None:
    answer = client.post("/v1/completions", json={**BODY, "stream": True})
    assert answer.content_type == "text/event-stream; charset=utf-8"
    assert answer.text.count("data: {") == 3
    assert answer.text.endswith("data: [DONE]\n\n")
    assert [run.open for run in generation.runs] == [False]


def test_usage_only_when_asked(client: FlaskClient) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    with_usage = client.post("/v1/completions", json={**BODY, **options}).text
    without = client.post("/v1/completions", json={**BODY, "stream": True}).text
    assert '"usage":{"prompt_tokens":3' in with_usage
    assert "usage" not in without


def test_a_crash_is_a_503_or_an_event(client: FlaskClient, generation: FakeGeneration) -> None:
    generation.scripts = {"crash": [ChoiceDelta(0, "a"), EngineDied("the engine died")]}
    body = {**BODY, "prompt": "crash"}
    plain = client.post("/v1/completions", json=body)
    stream = client.post("/v1/completions", json={**body, "stream": True})
    assert plain.status_code == 503
    assert plain.headers["x-should-retry"] == "false"
    assert plain.get_json()["error"]["code"] == "engine_crashed"
    assert stream.status_code == 200
    assert stream.text.count("engine_crashed") == 1
    assert "[DONE]" not in stream.text


def test_usage_on_every_chunk_when_asked(client: FlaskClient) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = {**BODY, "stream": True, "stream_options": options}
    text = client.post("/v1/completions", json=body).text
    assert text.count('"usage":{"prompt_tokens":3') == text.count("data: {") >= 4


@pytest.mark.parametrize("sent", [{}, {"stream": True}, {"stream": False}])
def test_the_forms_that_always_or_never_stream(
    client: FlaskClient, sent: dict[str, object]
) -> None:
    full = client.post("/v1/completions_full", json={**BODY, **sent})
    stream = client.post("/v1/completions_stream", json={**BODY, **sent})
    assert full.content_type == "application/json"
    assert full.get_json()["choices"][0]["finish_reason"] == "stop"
    assert stream.text.endswith("data: [DONE]\n\n")
    overruled = [a.headers.get("x-cria-warnings") == "stream" for a in (full, stream)]
    assert overruled == [sent.get("stream") is True, sent.get("stream") is False]


def test_a_stream_that_nobody_asked_for_has_its_options(client: FlaskClient) -> None:
    options = {"stream_options": {"include_usage": True}}
    answer = client.post(
        "/v1/completions_stream", json={**BODY, **options}, headers={"x-cria-strict": "1"}
    )
    assert answer.status_code == 200
    assert '"usage":{"prompt_tokens":3' in answer.text
    assert "x-cria-warnings" not in answer.headers
