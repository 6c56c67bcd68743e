"""Random bodies for every POST route of the OpenAPI document, to a real server.

A body that fits the schema is answered; one with a single value that does not is a 400 that names
the field. New routes and fields are covered without a line here, except for rules between fields
and for what only the model knows: these are the tables below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.sampling_params import SAMPLER_ORDER
from cria.server.app import create_app
from cria.server.openapi import REFUSED, make_document
from tests.fakes import FakeGeneration
from tests.real_server import RealServer
from tests.schema_values import SchemaValues, Values

pytestmark = pytest.mark.integration

DOCUMENT = make_document(
    create_app(ModelPool.of(FakeGeneration()), ServerConfig()),  # type: ignore[arg-type]
    needs_key=False,
)
BODIES: dict[str, dict[str, Any]] = {
    path: methods["post"]["requestBody"]["content"]["application/json"]["schema"]
    for path, methods in DOCUMENT["paths"].items()
    if "requestBody" in methods.get("post", {})
}
MESSAGES = {path: schema for path, schema in BODIES.items() if path.startswith("/messages")}
"""Their failures have no `param`: there is a test for them alone."""
ORDERS = {
    path: BODIES[path]
    for path in (
        *("/models/load", "/models/unload", "/lora-adapters"),
        *("/load_lora_adapter", "/unload_lora_adapter"),
    )
}
"""They change the server: what fits there depends on what was ordered before."""
for path in (*MESSAGES, *ORDERS):
    del BODIES[path]
VALUES = SchemaValues(DOCUMENT)
TEXT = st.text(max_size=6)
WORD = st.text(min_size=1, max_size=6)
SHORT = st.text(min_size=1, max_size=3).filter(lambda text: "\0" not in text)
TOKENS = st.lists(st.integers(0, 99), min_size=1, max_size=3)
SCHEMAS = st.sampled_from([{}, {"type": "integer"}, {"type": "object"}])
GRAMMARS = st.sampled_from(["", 'root ::= "a" | "b"', 'start: "a" /.*/'])
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "null"}}}
FUNCTION = {"name": "f", "parameters": {"properties": {"a": {"type": "null"}}}}
FUNCTION_TOOL = {"type": "function", "function": FUNCTION}
CUSTOM_TOOL = {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}}
CHOSEN = {"type": "function", "function": {"name": "f"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CHOSEN]}}

SPECIAL: Mapping[str, Values] = {
    "model": st.just("tiny"),
    # An answer has at least one token, and more take time.
    "max_tokens": st.integers(1, 3),
    "max_completion_tokens": st.integers(1, 3),
    "n": st.integers(1, 2),
    # Token ids have to be in the vocabulary, and a list holds one kind of thing.
    "prompt": TEXT | st.lists(TEXT, min_size=1, max_size=3) | TOKENS | st.lists(TOKENS, min_size=1),
    "content": TEXT | st.lists(TEXT | st.integers(0, 99), max_size=3),
    "tokens": TOKENS,
    "logit_bias": st.dictionaries(st.integers(0, 99).map(str), st.floats(-100, 100), max_size=3),
    "continuations": st.lists(TEXT, min_size=1, max_size=3),
    "input": WORD | st.lists(WORD, min_size=1, max_size=3) | TOKENS,
    "dimensions": st.integers(1, 64),
    "lora": st.just([]),  # this server has no adapters
    "stop_token_ids": TOKENS,
    "allowed_token_ids": TOKENS,
    "samplers": st.lists(st.sampled_from(SAMPLER_ORDER), max_size=3) | st.just("kt"),
    "dry_sequence_breakers": st.lists(SHORT, max_size=3),
    # What cannot be compiled is refused.
    "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}, FORMAT]),
    "json_schema": SCHEMAS,
    "guided_json": SCHEMAS | st.just('{"type": "null"}'),
    "structured_outputs": st.sampled_from([{}, {"regex": "a*"}, {"json_object": True}]),
    "grammar": GRAMMARS,
    "guided_grammar": GRAMMARS,
    "ebnf": GRAMMARS,
    "regex": st.sampled_from(["", "a+", "[^b]*"]),
    "guided_regex": st.sampled_from(["", "a+", "[^b]*"]),
    "guided_choice": st.lists(SHORT, min_size=1, max_size=3),
    # Names differ from each other, and a choice is one of them.
    "tools": st.sampled_from([[], [FUNCTION_TOOL], [FUNCTION_TOOL, CUSTOM_TOOL]]),
    "functions": st.sampled_from([[], [FUNCTION]]),
    "tool_choice": st.sampled_from(["none", "auto", "required", CHOSEN, ALLOWED]),
    "function_call": st.sampled_from(["none", "auto", {"name": "f"}]),
}
"""Values of fields, wherever they occur, whose schema does not say all."""
RELATED = frozenset(
    "best_of repetition_penalty mirostat_mode top_logprobs min_tokens echo suffix context_overflow "
    "n_keep truncate_prompt_tokens continue_final_message add_generation_prompt reasoning "
    "reasoning_effort allowed_token_ids random_seed response_format json_schema guided_json "
    "structured_outputs grammar guided_grammar ebnf regex guided_regex guided_choice tools "
    "tool_choice functions function_call reasoning_budget thinking_budget "
    "thinking_token_budget enable_thinking".split()
)
"""Fields that may contradict others, and then are a 400 that names one of the two."""
MESSAGE_SPECIAL: Mapping[str, Values] = {
    "model": st.just("tiny"),
    "max_tokens": st.integers(1, 3),
    "output_format": st.just({"type": "json_schema", "schema": {"type": "null"}}),
    "output_config": st.sampled_from([{}, {"effort": "low"}, {"effort": None, "format": None}]),
}
MESSAGE_RELATED = frozenset("messages tools tool_choice output_format".split())
ALWAYS = {"max_tokens"}
"""Fields that are in every body of a route that has them."""


def one_text(body: dict[str, Any]) -> None:
    """To tokenise: `content` or `prompt`, which is no list here."""
    body.pop("prompt", None)
    body.setdefault("content", "text")
    if body["content"] is None:
        body["content"] = "text"


def one_kind(body: dict[str, Any]) -> None:
    """To score: a prompt with a token of its own, and continuations of its kind."""
    body["prompt"], body["continuations"] = [5], [[6], [7, 8]]


def one_turn(body: dict[str, Any]) -> None:
    """A response to a text: what items and tools owe each other has tests of its own."""
    body["input"] = "text"
    if isinstance(body.get("text"), dict):
        body["text"].pop("format", None)
    for name in ("previous_response_id", "tools", "tool_choice", "truncation", "background"):
        body.pop(name, None)
    body["max_output_tokens"] = 3


RULES: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "/tokenize": one_text,
    "/score": one_kind,
    "/responses": one_turn,
    "/responses/input_tokens": one_turn,
}
"""Between the fields of a route: what makes a body whose fields fit one that fits."""

ONLY_RERANKERS = {"/rerank", "/reranking"}
"""Routes that the model of this test cannot serve, and says so."""

LESS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
def server(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    log = tmp_path_factory.mktemp("random") / "log"
    options = ("--alias", "tiny", "--parallel", "4", "--context-size", "1024")
    with RealServer.start(tiny_gguf, *options, log=log) as running:
        yield running
        assert requests.get(f"{running.url}/health", timeout=30).status_code == 200
        assert running.wait_until_idle()["restarts"] == 0
        assert "Traceback" not in log.read_text()


def bodies(path: str, *, related: bool = False) -> Values:
    """Bodies that a route takes, unless their `related` fields contradict each other."""

    def settle(body: dict[str, Any]) -> dict[str, Any]:
        RULES.get(path, lambda _: None)(body)
        for message in body.get("messages", ()):
            message.pop("tool_calls", None)  # what a call has to have depends on its type
        return {name: v for name, v in body.items() if related or name not in RELATED}

    return VALUES.body(BODIES[path], SPECIAL, ALWAYS).map(settle)


def is_at(param: str | None, name: str) -> bool:
    """Whether the path is that of the field, or leads into it."""
    return param is not None and (param == name or param.startswith((f"{name}.", f"{name}[")))


@pytest.mark.parametrize("path", BODIES)
def test_what_fits_is_answered(server: RealServer, path: str) -> None:
    @settings(max_examples=20, suppress_health_check=LESS)
    @given(body=bodies(path))
    def check(body: dict[str, Any]) -> None:
        answer = server.post(path, body)
        if path in ONLY_RERANKERS:
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
            return
        assert answer.status_code == 200, answer.text
        if answer.headers["Content-Type"].startswith("text/event-stream"):
            if path == "/responses":  # whose events have names, and always an `error`
                assert b'"error":{' not in answer.content
                return
            assert answer.content.endswith(b"data: [DONE]\n\n")
            assert b'"error"' not in answer.content

    check()


@pytest.mark.parametrize("path", BODIES)
def test_fields_that_contradict_each_other_are_named(server: RealServer, path: str) -> None:
    properties = VALUES.resolve(BODIES[path])["properties"]
    if RELATED.isdisjoint(properties):
        return

    @settings(max_examples=40, suppress_health_check=LESS)
    @given(body=bodies(path, related=True))
    def check(body: dict[str, Any]) -> None:
        answer = server.post(path, body)
        if answer.status_code != 200:
            assert answer.status_code == 400, answer.text
            given = [name for name, value in body.items() if value is not None]
            param = answer.json()["error"]["param"]
            assert any(is_at(param, name) for name in given), answer.text
            assert not RELATED.isdisjoint(given), answer.text

    check()


@pytest.mark.parametrize("path", BODIES)
def test_a_value_that_does_not_fit_is_named(server: RealServer, path: str) -> None:
    properties = VALUES.resolve(BODIES[path])["properties"]

    # A form that always or never streams is checked by the same code.
    each = 0.5 if path.endswith(("_full", "_stream")) else 2

    @settings(max_examples=8 + int(each * len(properties)), suppress_health_check=LESS)
    @given(body=bodies(path), name=st.sampled_from(sorted(properties)), data=st.data())
    def check(body: dict[str, Any], name: str, data: st.DataObject) -> None:
        body[name] = data.draw(VALUES.odd(properties[name]), label="odd value")
        answer = server.post(path, body)
        assert answer.status_code == 400, answer.text[:1000]
        error = answer.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert is_at(error["param"], name), error

    check()


@pytest.mark.parametrize("path", BODIES | ORDERS)
def test_a_field_that_is_missing_is_named(server: RealServer, path: str) -> None:
    body = {"model": "tiny"}
    for name in VALUES.resolve((BODIES | ORDERS)[path]).get("required", ()):
        answer = server.post(path, {key: value for key, value in body.items() if key != name})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "missing_required_parameter"


@pytest.mark.parametrize("path", BODIES)
def test_a_field_that_cannot_be_honoured_is_named(server: RealServer, path: str) -> None:
    for name in VALUES.resolve(BODIES[path])[REFUSED]:
        answer = server.post(path, {"model": "tiny", name: {"odd": 1}})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)


@pytest.mark.parametrize("path", BODIES)
def test_an_unknown_field_is_reported_or_refused(server: RealServer, path: str) -> None:
    @settings(max_examples=3, suppress_health_check=LESS)
    @given(body=bodies(path))
    def check(body: dict[str, Any]) -> None:
        body["odd_one"] = 1
        assert "odd_one" in server.post(path, body).headers["x-cria-warnings"].split(", ")
        strict = server.post(path, body, headers={"x-cria-strict": "1"})
        assert strict.status_code == 400
        assert strict.json()["error"]["param"] in ("odd_one", "stream_options")

    check()


@pytest.mark.parametrize("path", BODIES | ORDERS)
def test_what_is_no_object_is_refused(server: RealServer, path: str) -> None:
    lists = () if path == "/lora-adapters" else (b"[]",)  # which takes one, as llama-server does
    for data in (b"", *lists, b"null", b"5", b"{", b'{"a":1', b"\xff\xfe", b"[" * 100_000):
        answer = requests.post(f"{server.url}{path}", data=data, timeout=30)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, None)


@pytest.mark.parametrize("path", MESSAGES)
def test_a_message_that_fits_is_answered_or_its_field_is_named(
    server: RealServer, path: str
) -> None:
    @settings(max_examples=60, suppress_health_check=LESS)
    @given(body=VALUES.body(MESSAGES[path], MESSAGE_SPECIAL, ALWAYS))
    def check(body: dict[str, Any]) -> None:
        answer = server.post(path, body)
        if answer.status_code != 200:
            assert answer.status_code == 400, answer.text
            told = answer.json()["error"]["message"].partition(": ")[0]
            # What a role may say, what a tool has to have, and what contradicts.
            assert told.partition(".")[0] in MESSAGE_RELATED, answer.text
        elif body.get("stream"):
            assert b"event: message_stop" in answer.content

    check()
