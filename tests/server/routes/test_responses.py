"""Responses over a fake generation: whole, streamed, chained, later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from cria.access_key import hashed
from cria.api.events import (
    CallDelta,
    CallStarted,
    ChoiceDelta,
    ChoiceFinished,
    ReasoningDelta,
)
from cria.errors import ContextLengthExceeded, EngineDied
from tests.fakes import SILENCE, FakeGeneration, Script
from tests.server.responding import responding, sse, wait_for

CALL = CallStarted(0, 0, "call_1", "f")
SCRIPTS: dict[str, Script] = {
    "think": [ReasoningDelta(0, "hm"), ChoiceDelta(0, "Well"), ChoiceFinished(0, "stop")],
    "call": [CALL, CallDelta(0, 0, "{}"), ChoiceFinished(0, "tool_calls")],
    "cut": [ChoiceDelta(0, "a"), ChoiceFinished(0, "length")],
    "die": [ChoiceDelta(0, "a"), EngineDied("It died.")],
    "wait": [ChoiceDelta(0, "a"), SILENCE],
}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture
def generation() -> FakeGeneration:
    return FakeGeneration(SCRIPTS)


@pytest.fixture
def client(generation: FakeGeneration, tmp_path: Path) -> Iterator[FlaskClient]:
    with responding(generation, tmp_path / "store") as made:
        yield made


def create(client: FlaskClient, text: Any = "hi", **fields: Any) -> TestResponse:
    return client.post("/v1/responses", json={"model": "fake", "input": text, **fields})


def test_a_response(client: FlaskClient) -> None:
    answer = create(client, user="u")
    assert answer.status_code == 200
    assert answer.headers["x-cria-warnings"] == "user"
    body = answer.get_json()
    assert (body["status"], body["model"], body["store"]) == ("completed", "fake", True)
    assert body["output"][0]["content"][0]["text"] == "Hello world"
    assert body["usage"]["total_tokens"] == 5
    assert client.get(f"/v1/responses/{body['id']}").get_json() == body


def test_a_stream(client: FlaskClient) -> None:
    answer = create(client, "think", stream=True)
    assert answer.mimetype == "text/event-stream"
    events = sse(answer.data)
    response = events[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["reasoning", "message"]
    assert client.get(f"/v1/responses/{response['id']}").get_json() == response


def test_a_call_is_completed_by_its_output(client: FlaskClient) -> None:
    first = create(client, "call", tools=[TOOL]).get_json()
    (call,) = first["output"]
    assert (call["call_id"], call["arguments"]) == ("call_1", "{}")
    without = create(client, "hi", previous_response_id=first["id"], tools=[TOOL])
    assert without.status_code == 400
    assert "No tool output found for function call call_1" in without.get_json()["error"]["message"]
    output = {"type": "function_call_output", "call_id": "call_1", "output": "think"}
    done = create(client, [output], previous_response_id=first["id"], tools=[TOOL])
    assert [item["type"] for item in done.get_json()["output"]] == ["reasoning", "message"]


def test_a_cut_answer_is_incomplete(client: FlaskClient) -> None:
    body = create(client, "cut", max_output_tokens=16).get_json()
    assert (body["status"], body["max_output_tokens"]) == ("incomplete", 16)
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}


def test_instructions_are_not_inherited(client: FlaskClient, generation: FakeGeneration) -> None:
    count = {}
    first = create(client, "hi", instructions="Be very brief, please.").get_json()
    for name, fields in (("with", {"instructions": "Be very brief, please."}), ("without", {})):
        body = {"input": "b", "previous_response_id": first["id"], **fields}
        answer = client.post("/v1/responses/input_tokens", json=body)
        count[name] = answer.get_json()["input_tokens"]
        assert answer.get_json()["object"] == "response.input_tokens"
    assert count["with"] > count["without"] > len("hi")


def test_what_is_not_stored_cannot_be_found(client: FlaskClient) -> None:
    body = create(client, store=False).get_json()
    assert body["store"] is False
    assert client.get(f"/v1/responses/{body['id']}").status_code == 404
    chained = create(client, previous_response_id=body["id"])
    assert chained.get_json()["error"]["code"] == "previous_response_not_found"


def test_a_failure_of_a_whole_one_is_an_error(client: FlaskClient) -> None:
    answer = create(client, "die")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "engine_crashed")
    failed = sse(create(client, "die", stream=True).data)[-1]
    assert failed["response"]["error"]["code"] == "server_error"


def test_what_is_found_out_before_is_an_error_of_this_route(
    client: FlaskClient, generation: FakeGeneration
) -> None:
    generation.refusal = ContextLengthExceeded(9, 8, param="messages")
    for fields in ({}, {"stream": True}, {"background": True}):
        answer = create(client, **fields)
        assert answer.status_code == 400
        error = answer.get_json()["error"]
        assert (error["param"], error["code"]) == ("input", "context_length_exceeded")


def test_warnings_of_the_model_name_this_routes_fields(
    client: FlaskClient, generation: FakeGeneration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tests.fakes.FakeRun.warnings", ("max_completion_tokens", "context_overflow")
    )
    answer = create(client, max_output_tokens=5, truncation="auto")
    assert answer.headers["x-cria-warnings"] == "max_output_tokens, truncation"


def test_a_client_that_leaves_ends_a_stream(
    client: FlaskClient, generation: FakeGeneration
) -> None:
    answer = client.post(
        "/v1/responses", json={"model": "fake", "input": "wait", "stream": True}, buffered=False
    )
    assert b"response.created" in next(iter(answer.response))
    (run,) = generation.runs
    assert run.open
    answer.close()
    assert not run.open


def test_in_the_background(client: FlaskClient) -> None:
    answer = create(client, background=True)
    body = answer.get_json()
    assert (answer.status_code, body["status"], body["background"]) == (200, "queued", True)
    path = f"/v1/responses/{body['id']}"
    done = wait_for(
        lambda: client.get(path).get_json(), lambda b: b["status"] not in ("queued", "in_progress")
    )
    assert (done["status"], done["usage"]["total_tokens"]) == ("completed", 5)


def test_streamed_from_the_background(client: FlaskClient) -> None:
    events = sse(create(client, background=True, stream=True).data)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [e["response"]["status"] for e in (events[0], events[-1])] == ["queued", "completed"]
    path = f"/v1/responses/{events[0]['response']['id']}?stream=true"
    assert sse(client.get(path).data) == events
    assert sse(client.get(f"{path}&starting_after=3").data) == events[4:]


def test_without_a_store(generation: FakeGeneration) -> None:
    with responding(generation, None) as client:
        answer = create(client)
        assert (answer.get_json()["store"], answer.headers["x-cria-warnings"]) == (False, "store")
        assert "x-cria-warnings" not in create(client, store=False).headers
        assert create(client, store=True).get_json()["error"]["param"] == "store"
        assert create(client, background=True).get_json()["error"]["param"] == "background"


def test_a_key_reads_only_what_it_wrote(generation: FakeGeneration, tmp_path: Path) -> None:
    with responding(generation, tmp_path / "s", keys=(hashed("one"), hashed("two"))) as client:
        mine, other = ({"Authorization": f"Bearer {key}"} for key in ("one", "two"))
        body = {"model": "fake", "input": "hi"}
        made = client.post("/v1/responses", json=body, headers=mine).get_json()
        path = f"/v1/responses/{made['id']}"
        assert client.get(path, headers=mine).status_code == 200
        for method, tail in (
            ("get", ""),
            ("get", "/input_items"),
            ("delete", ""),
            ("post", "/cancel"),
        ):
            answer = getattr(client, method)(path + tail, headers=other)
            assert answer.status_code == 404
        chained = {**body, "previous_response_id": made["id"]}
        assert client.post("/v1/responses", json=chained, headers=other).status_code == 400
        reference = {**body, "input": [{"type": "item_reference", "id": made["output"][0]["id"]}]}
        assert client.post("/v1/responses", json=reference, headers=other).status_code == 404
        assert client.post("/v1/responses", json=reference, headers=mine).status_code == 200


def test_tools_that_others_run(
    client: FlaskClient, generation: FakeGeneration, tmp_path: Path
) -> None:
    tools = [{"type": "web_search"}, TOOL]
    for path in ("/v1/responses", "/v1/responses/input_tokens"):
        refused = client.post(path, json={"model": "fake", "input": "hi", "tools": tools})
        assert refused.get_json()["error"]["param"] == "tools[0].type"
    with responding(generation, tmp_path / "s", ignore_built_in_tools=True) as lenient:
        answer = create(lenient, tools=tools)
        assert answer.headers["x-cria-warnings"] == "tools[0]"
        assert [tool["type"] for tool in answer.get_json()["tools"]] == ["function"]


def test_strict_mode_refuses_what_it_does_not_know(client: FlaskClient) -> None:
    for fields in ({"foo": 1}, {"input": [{"role": "user", "content": "a", "foo": 1}]}):
        body = {"model": "fake", "input": "hi", **fields}
        answer = client.post("/v1/responses", json=body, headers={"x-cria-strict": "1"})
        assert answer.get_json()["error"]["code"] == "unknown_parameter"
    known = {"model": "fake", "input": [{"type": "compaction"}, {"role": "user", "content": "a"}]}
    answer = client.post("/v1/responses", json=known, headers={"x-cria-strict": "1"})
    assert answer.status_code == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
ITEM = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            "message function_call function_call_output reasoning item_reference custom_tool_call "
            "compaction shell_call custom_tool_call_output".split()
        ),
        "role": st.sampled_from("user assistant developer tool".split()),
        "content": JSON | st.just([{"type": "input_text", "text": "a"}]),
        "call_id": st.sampled_from(["c", "d"]) | JSON,
        "name": st.just("f") | JSON,
        "arguments": st.just("{") | JSON,
        "input": st.text(max_size=2),
        "output": st.text(max_size=2) | JSON,
        "summary": st.just([]) | JSON,
        "encrypted_content": st.text(max_size=5),
        "id": st.text(max_size=5) | JSON,
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(items=st.lists(ITEM, max_size=4) | JSON, stream=st.booleans())
def test_no_input_is_a_server_error(client: FlaskClient, items: Any, stream: bool) -> None:
    answer = create(client, items, stream=stream)
    assert answer.status_code in (200, 400, 404), answer.data
    if answer.status_code != 200:
        assert str(answer.get_json()["error"]["param"]).startswith("input")
