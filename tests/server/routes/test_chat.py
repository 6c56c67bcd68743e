"""POST /v1/chat/completions over a fake generation."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

BODY: dict[str, Any] = {"model": "fake", "messages": [{"role": "user", "content": "hi"}]}


def test_a_whole_answer(client: FlaskClient) -> None:
    body = client.post("/v1/chat/completions", json=BODY).get_json()
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == "Hello world"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["prompt_tokens"] == 3


def test_a_stream_names_the_role_once(client: FlaskClient) -> None:
    text = client.post("/v1/chat/completions", json={**BODY, "stream": True}).text
    assert text.count('"role":"assistant"') == 1
    assert text.index('"role"') < text.index("Hello")
    assert text.endswith("data: [DONE]\n\n")


def test_a_refused_body_starts_nothing(client: FlaskClient) -> None:
    answer = client.post("/v1/chat/completions", json={"model": "fake", "messages": []})
    assert answer.status_code == 400
    assert answer.get_json()["error"]["param"] == "messages"


def test_usage_on_every_chunk_when_asked(client: FlaskClient) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = {**BODY, "stream": True, "stream_options": options}
    text = client.post("/v1/chat/completions", json=body).text
    assert text.count('"usage":{"prompt_tokens":3') == text.count("data: {") >= 4


def test_strict_mode_looks_at_the_whole_conversation(client: FlaskClient) -> None:
    result = {"role": "tool", "content": "1", "tool_call_id": "c"}
    body = {**BODY, "messages": [*BODY["messages"], result]}
    assert client.post("/v1/chat/completions", json=body).status_code == 200
    headers = {"x-cria-strict": "1"}
    answer = client.post("/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == 400
    assert answer.get_json()["error"]["param"] == "messages.[1].role"


@pytest.mark.parametrize("sent", [{}, {"stream": True}, {"stream": False}])
def test_the_forms_that_always_or_never_stream(
    client: FlaskClient, sent: dict[str, object]
) -> None:
    full = client.post("/v1/chat/completions_full", json={**BODY, **sent})
    stream = client.post("/v1/chat/completions_stream", json={**BODY, **sent})
    assert full.content_type == "application/json"
    assert full.get_json()["choices"][0]["finish_reason"] == "stop"
    assert stream.text.endswith("data: [DONE]\n\n")
    overruled = [a.headers.get("x-cria-warnings") == "stream" for a in (full, stream)]
    assert overruled == [sent.get("stream") is True, sent.get("stream") is False]


def test_a_stream_that_nobody_asked_for_has_its_options(client: FlaskClient) -> None:
    options = {"stream_options": {"include_usage": True}}
    answer = client.post(
        "/v1/chat/completions_stream", json={**BODY, **options}, headers={"x-cria-strict": "1"}
    )
    assert answer.status_code == 200
    assert '"usage":{"prompt_tokens":3' in answer.text
    assert "x-cria-warnings" not in answer.headers
