"""POST /v1/messages over a fake generation."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cria.access_key import hashed
from cria.api.events import ChoiceDelta, ChoiceFinished
from cria.errors import ContextLengthExceeded, EngineUnavailable, RequestError
from tests.api.anthropic.test_request import FIELDS, VALUES
from tests.fakes import FakeGeneration
from tests.server.conftest import make_client

HI = {"role": "user", "content": "hi"}
BODY: dict[str, Any] = {"model": "fake", "max_tokens": 9, "messages": [HI]}
COUNTED = {name: value for name, value in BODY.items() if name != "max_tokens"}


def names_of(text: str) -> list[str]:
    return re.findall(r"^event: (\w+)$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", ["/v1/messages", "/messages", "/v1/messages/?beta=true"])
def test_a_whole_message(client: FlaskClient, path: str) -> None:
    answer = client.post(path, json=BODY)
    body = answer.get_json()
    assert (answer.status_code, body["type"], body["model"]) == (200, "message", "fake")
    assert body["content"] == [{"type": "text", "text": "Hello world"}]
    assert body["id"].startswith("msg_")
    assert answer.headers["request-id"] == answer.headers["x-request-id"]


def test_a_stream(client: FlaskClient) -> None:
    answer = client.post("/v1/messages", json={**BODY, "stream": True})
    assert answer.content_type.startswith("text/event-stream")
    assert names_of(answer.text) == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert answer.headers["request-id"]


def test_a_stop_sequence_is_told(client: FlaskClient, generation: FakeGeneration) -> None:
    stopped = ChoiceFinished(0, "stop", stop_string="X")
    generation.scripts = {"hi": [ChoiceDelta(0, "a"), stopped]}
    body = client.post("/v1/messages", json={**BODY, "stop_sequences": ["X"]}).get_json()
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", "X")


def test_counting(client: FlaskClient) -> None:
    counted = client.post("/v1/messages/count_tokens", json=COUNTED).get_json()
    longer = client.post("/v1/messages/count_tokens", json={**COUNTED, "system": "abc"})
    assert set(counted) == {"input_tokens"}
    assert longer.get_json()["input_tokens"] > counted["input_tokens"]


def test_warnings_name_the_fields_that_were_sent(client: FlaskClient) -> None:
    fields = {"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}, "odd": 1}
    answer = client.post("/v1/messages/count_tokens", json={**COUNTED, **fields})
    assert answer.headers["x-cria-warnings"] == "odd, output_config.effort, thinking"
    whole = client.post("/v1/messages", json={**BODY, "odd": 1})
    stream = client.post("/v1/messages", json={**BODY, "odd": 1, "stream": True})
    assert whole.headers["x-cria-warnings"] == stream.headers["x-cria-warnings"] == "odd"


def test_strict_mode_refuses_what_it_does_not_know(client: FlaskClient) -> None:
    strict = {"x-cria-strict": "1"}
    hinted = {**HI, "content": [{"type": "text", "text": "hi", "cache_control": {"a": "b"}}]}
    known = client.post("/v1/messages", json={**BODY, "messages": [hinted]}, headers=strict)
    assert known.status_code == 200
    odd = client.post("/v1/messages", json={**BODY, "odd": 1}, headers=strict)
    assert odd.get_json()["error"]["message"] == "odd: Unknown parameter: 'odd'."


def test_strict_mode_looks_at_the_whole_conversation(client: FlaskClient) -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "1"}
    body = {**BODY, "messages": [HI, {"role": "user", "content": [result]}]}
    assert client.post("/v1/messages", json=body).status_code == 200
    answer = client.post("/v1/messages", json=body, headers={"x-cria-strict": "1"})
    assert answer.get_json()["error"]["message"].startswith("messages.1.content.0: ")


def is_failure(answer: Any, status: int, kind: str) -> bool:
    body = answer.get_json()
    assert set(body) == {"type", "error", "request_id"}
    assert body["request_id"] == answer.headers["request-id"]
    return (answer.status_code, body["type"], body["error"]["type"]) == (status, "error", kind)


class TestFailures:
    def test_of_the_framework(self, client: FlaskClient) -> None:
        assert is_failure(client.get("/v1/messages"), 405, "invalid_request_error")
        assert client.get("/v1/messages").headers["Allow"] == "OPTIONS, POST"
        assert is_failure(client.post("/messages/odd"), 404, "not_found_error")
        malformed = client.post("/v1/messages", data=b"{")
        assert is_failure(malformed, 400, "invalid_request_error")

    def test_of_a_body_that_is_too_large(self, generation: FakeGeneration) -> None:
        client = make_client(generation, max_body_bytes=10)
        assert is_failure(client.post("/v1/messages", json=BODY), 413, "request_too_large")

    @pytest.mark.parametrize("headers", [{"x-api-key": "k"}, {"Authorization": "Bearer k"}])
    def test_of_keys(self, generation: FakeGeneration, headers: dict[str, str]) -> None:
        client = make_client(generation, keys=(hashed("k"),))
        assert client.post("/v1/messages", json=BODY, headers=headers).status_code == 200
        assert is_failure(client.post("/v1/messages", json=BODY), 401, "authentication_error")

    def test_of_pages_from_elsewhere(self, client: FlaskClient) -> None:
        headers = {"Origin": "https://evil.example"}
        answer = client.post("/v1/messages", json=BODY, headers=headers)
        assert is_failure(answer, 403, "permission_error")

    def test_of_an_engine_that_is_not_ready(
        self, client: FlaskClient, generation: FakeGeneration
    ) -> None:
        generation.refusal = EngineUnavailable("loading")
        answer = client.post("/v1/messages", json={**BODY, "stream": True})
        assert is_failure(answer, 529, "overloaded_error")
        assert answer.headers["Retry-After"] == "1"

    def test_of_a_prompt_that_is_too_long(
        self, client: FlaskClient, generation: FakeGeneration
    ) -> None:
        generation.refusal = ContextLengthExceeded(9, 8, param="messages")
        error = client.post("/v1/messages", json=BODY).get_json()["error"]
        assert error["message"] == "prompt is too long: 9 tokens > 8 maximum"

    def test_of_a_bug(self, client: FlaskClient, generation: FakeGeneration) -> None:
        generation.refusal = KeyError("secret")
        assert is_failure(client.post("/v1/messages", json=BODY), 500, "api_error")

    def test_what_the_chat_refuses_is_named_as_it_was_sent(
        self, client: FlaskClient, generation: FakeGeneration
    ) -> None:
        param = "tools[0].function.parameters"
        generation.refusal = RequestError(f"Invalid '{param}': odd.", param=param)
        tool = {"name": "f", "input_schema": {"type": "object"}}
        for path, body in (("messages", BODY), ("messages/count_tokens", COUNTED)):
            answer = client.post(f"/v1/{path}", json={**body, "tools": [tool]})
            path_told = "tools.0.input_schema"
            assert answer.get_json()["error"]["message"] == (
                f"{path_told}: Invalid '{path_told}': odd."
            )


FUZZ = [HealthCheck.function_scoped_fixture]


@settings(suppress_health_check=FUZZ)
@given(st.dictionaries(FIELDS, VALUES, max_size=3), st.booleans())
def test_any_body_is_answered_or_refused(
    client: FlaskClient, fields: dict[str, Any], counts: bool
) -> None:
    path = "/v1/messages/count_tokens" if counts else "/v1/messages"
    answer = client.post(path, data=json.dumps(BODY | fields))
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert is_failure(answer, 400, "invalid_request_error")
