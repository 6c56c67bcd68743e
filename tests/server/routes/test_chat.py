"""POST /v1/chat/completions over a fake generation."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from cria.api.events import CallDelta, CallStarted, ChoiceDelta, ChoiceFinished, ReasoningDelta
from cria.config import REASONING_FIELDS, ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server.app import create_app
from tests.fakes import FakeGeneration, Script

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


SCRIPTS: dict[str, Script] = {
    "call": [
        CallStarted(0, 0, "call_1", "f"),
        CallDelta(0, 0, "{}"),
        ChoiceFinished(0, "tool_calls"),
    ],
    "think": [ReasoningDelta(0, "hm"), ChoiceDelta(0, "a"), ChoiceFinished(0, "stop")],
}


def ask(reasoning_field: str, content: str, **fields: Any) -> Any:
    config = ServerConfig(reasoning_field=reasoning_field)
    app = create_app(ModelPool.of(FakeGeneration(SCRIPTS)), config)  # type: ignore[arg-type]
    body = {"model": "fake", "messages": [{"role": "user", "content": content}], **fields}
    answer = app.test_client().post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("field", REASONING_FIELDS)
def test_thinking_has_the_name_that_the_operator_wants(field: str) -> None:
    expected = {
        "reasoning_content": {"reasoning_content"},
        "reasoning": {"reasoning"},
        "both": {"reasoning_content", "reasoning"},
        "none": {"reasoning_content"},  # what a request asks for by itself
    }
    message = ask(field, "think", reasoning_format="auto").json["choices"][0]["message"]
    assert {name for name in message if "reasoning" in name} == expected[field]
    stream = ask(field, "think", reasoning_format="auto", stream=True).text
    assert all(stream.count(f'"{name}":"hm"') == 1 for name in expected[field])


def test_thinking_that_nobody_wants_is_not_told() -> None:
    body = {"reasoning": {"exclude": True}}
    for answer in (ask("both", "think", **body), ask("both", "think", **body, stream=True)):
        assert 'reasoning"' not in answer.text and "hm" not in answer.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_has_the_form_of_its_request(stream: bool) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    new = ask("both", "call", tools=[tool], stream=stream).text
    assert ('"tool_calls"' in new, '"function_call"' in new) == (True, False)
    assert '"finish_reason":"tool_calls"' in new
    old = ask("both", "call", functions=[{"name": "f"}], stream=stream).text
    assert ('"tool_calls"' in old, '"finish_reason":"function_call"' in old) == (False, True)


def test_parallel_calls_of_nothing_are_refused_in_strict_mode(client: FlaskClient) -> None:
    body = {**BODY, "parallel_tool_calls": True}
    answer = client.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.headers["x-cria-warnings"]) == (200, "parallel_tool_calls")
    strict = client.post("/v1/chat/completions", json=body, headers={"x-cria-strict": "1"})
    assert (strict.status_code, strict.json["error"]["code"]) == (400, None)  # type: ignore[index]
