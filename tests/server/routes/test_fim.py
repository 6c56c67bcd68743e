"""POST /v1/fim/completions over a fake generation."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

BODY = {"model": "fake", "prompt": "def f():", "suffix": "return x"}


@pytest.mark.parametrize("path", ["/v1/fim/completions", "/fim/completions/"])
def test_a_whole_answer_has_the_shape_of_a_chat(client: FlaskClient, path: str) -> None:
    body = client.post(path, json=BODY).get_json()
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == "Hello world"
    assert body["choices"][0]["finish_reason"] == "stop"


def test_a_stream_has_the_shape_of_a_chat(client: FlaskClient) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = {**BODY, "stream": True, "stream_options": options}
    text = client.post("/v1/fim/completions", json=body).text
    assert '"delta":{"content":"Hello"}' in text
    assert text.count('"usage":{') == text.count("data: {") == 5
    assert text.endswith("data: [DONE]\n\n")


def test_a_refused_body_starts_nothing(client: FlaskClient) -> None:
    answer = client.post("/v1/fim/completions", json={"model": "fake"})
    assert answer.status_code == 400
    assert answer.get_json()["error"]["param"] == "prompt"
