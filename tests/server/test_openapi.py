"""The OpenAPI document says all that the application does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server.app import create_app
from cria.server.openapi import described_routes, make_document, undescribed
from cria.server.operations import Operation, describe
from tests.fakes import FakeGeneration


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(ModelPool.of(FakeGeneration()), ServerConfig())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    return make_document(app, needs_key=False)


def references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_every_route_has_a_description(app: Flask) -> None:
    assert undescribed(app) == set()


def test_every_rule_is_in_it_once_and_works_with_the_prefix_too(
    app: Flask, document: dict[str, Any]
) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    plain = {rule for rule in rules if not rule.startswith("/v1/")}
    assert {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule) for rule in plain} == set(document["paths"])
    assert rules - plain == {"/v1" + rule for rule in plain}
    assert [server["url"] for server in document["servers"]] == ["/v1", "/"]


def test_a_view_without_a_description_is_found() -> None:
    app = Flask("test", static_folder=None)
    app.add_url_rule("/known", view_func=describe(Operation("Known."))(lambda: ""), endpoint="a.b")
    app.add_url_rule("/forgotten", view_func=lambda: "", endpoint="a.c")
    assert undescribed(app) == {"a.c"}
    assert [route.path for route in described_routes(app)] == ["/known"]


def test_a_request_has_its_ranges(document: dict[str, Any]) -> None:
    operation = document["paths"]["/chat/completions"]["post"]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    assert schema["description"] == "Continue a conversation."
    assert schema["required"] == ["model", "messages"]
    temperature = schema["properties"]["temperature"]
    assert (temperature["minimum"], temperature["maximum"]) == (0, 2)
    assert temperature["description"] == "0 chooses the most likely token."
    assert "user" in schema["x-cria-noted"]
    assert "bad_words" in schema["x-cria-refused"]
    assert not set(schema["x-cria-refused"]) & set(schema["properties"])


def test_an_answer_is_json_or_events(document: dict[str, Any]) -> None:
    def content(path: str) -> set[str]:
        return set(document["paths"][path]["post"]["responses"]["200"]["content"])

    assert content("/completions") == {"application/json", "text/event-stream"}
    assert content("/completions_full") == {"application/json"}
    assert content("/completions_stream") == {"text/event-stream"}


def test_failures_of_another_shape_are_told(document: dict[str, Any]) -> None:
    def failure(path: str) -> Any:
        return document["paths"][path]["post"]["responses"]["5XX"]

    assert failure("/completions") == {"$ref": "#/components/responses/Error"}
    schema = failure("/messages")["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/AnthropicErrorBody"}


def test_events_are_described(document: dict[str, Any]) -> None:
    def events(path: str) -> str:
        content = document["paths"][path]["post"]["responses"]["200"]["content"]
        found: str = content["text/event-stream"]["schema"]["description"]
        return found

    assert "[DONE]" in events("/completions")
    assert "message_stop" in events("/messages")


def test_paths_and_queries_have_their_parameters(document: dict[str, Any]) -> None:
    def names(path: str) -> set[tuple[str, str]]:
        found = document["paths"][path]["get"]["parameters"]
        return {(each["in"], each["name"]) for each in found if "in" in each}

    assert names("/models/{model_id}") == {("path", "model_id")}
    assert names("/slots") == {("query", "fail_on_no_slot"), ("query", "model")}


def test_keys_are_asked_for_where_they_are_needed(app: Flask, document: dict[str, Any]) -> None:
    assert document["security"] == [{}, {"bearer": []}]
    assert make_document(app, needs_key=True)["security"] == [{"bearer": []}]
    open_paths = {
        path
        for path, methods in document["paths"].items()
        if any(operation.get("security") == [] for operation in methods.values())
    }
    assert open_paths == {"/health", "/livez", "/readyz"}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = references(document)
    assert len(found) > 20
    for reference in found:
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_no_name_is_private(document: dict[str, Any]) -> None:
    assert [name for name in document["components"]["schemas"] if name.startswith("_")] == []
