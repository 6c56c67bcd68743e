"""POST /v1/chat/completions over a fake generation."""

from __future__ import annotations

from typing import Any

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
