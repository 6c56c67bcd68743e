"""Answers of a given shape, from a real server; the client, Pydantic and jsonschema judge."""

from __future__ import annotations

import enum
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import jsonschema
import openai
import pydantic
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.real_server import RealServer

pytestmark = pytest.mark.integration

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
HI: Any = [{"role": "user", "content": "Hi"}]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def client(server: RealServer) -> openai.OpenAI:
    return server.client()


def schema_format(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **more}}


def ask(server: RealServer, **fields: Any) -> dict[str, Any]:
    body = {"model": "smollm2", "messages": HI, "temperature": 0, "max_tokens": 64, **fields}
    answer = server.post(CHAT, body)
    assert answer.status_code == 200, answer.text
    decoded: dict[str, Any] = answer.json()
    return decoded["choices"][0] | {"warnings": answer.headers.get("x-cria-warnings")}


def content(server: RealServer, **fields: Any) -> str:
    choice = ask(server, **fields)
    assert choice["finish_reason"] == "stop", choice
    text: str = choice["message"]["content"]
    return text


def refused(server: RealServer, **fields: Any) -> dict[str, Any]:
    answer = server.post(CHAT, {"model": "smollm2", "messages": HI, "max_tokens": 32, **fields})
    assert answer.status_code == 400, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(pydantic.BaseModel):
    street: str = pydantic.Field(max_length=10)
    number: int | None = None


class Person(pydantic.BaseModel):
    kind: Literal["person"]
    age: int = pydantic.Field(ge=0, le=99)
    colour: Colour
    address: Address
    tags: list[Colour] = pydantic.Field(max_length=2)


class Node(pydantic.BaseModel):
    value: int = pydantic.Field(ge=0, le=9)
    children: list[Node] = pydantic.Field(max_length=1)


@pytest.mark.parametrize("kind", [Person, Address])
def test_the_client_parses_what_it_asked_for(client: openai.OpenAI, kind: Any) -> None:
    answer = client.chat.completions.parse(
        model="smollm2", messages=HI, response_format=kind, max_tokens=400, seed=1
    )
    assert isinstance(answer.choices[0].message.parsed, kind)


@pytest.mark.slow
def test_a_recursive_type(client: openai.OpenAI) -> None:
    """Each level is as likely as the model has it: the first seed that comes to an end in time."""
    for seed in range(8):
        try:
            answer = client.chat.completions.parse(
                model="smollm2", messages=HI, response_format=Node, max_tokens=80, seed=seed
            )
        except openai.LengthFinishReasonError:
            continue
        assert isinstance(answer.choices[0].message.parsed, Node)
        return
    pytest.fail("no tree ended")


def test_the_limit_of_tokens_is_the_clients_own_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model="smollm2", messages=HI, response_format=Person, max_tokens=3
        )


def test_any_object(server: RealServer) -> None:
    body = {"response_format": {"type": "json_object"}, "max_tokens": 200, "seed": 3}
    choice = ask(server, **body, temperature=1)
    text = choice["message"]["content"]
    assert text.startswith("{")
    if choice["finish_reason"] == "stop":
        assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize(
    ("fields", "pattern"),
    [
        ({"guided_choice": ["red", "green"]}, "red|green"),
        ({"regex": "[0-9]{3}-[a-c]"}, "[0-9]{3}-[a-c]"),
        ({"grammar": 'root ::= "x" [0-9] y\ny ::= "y" | "z"'}, "x[0-9][yz]"),
        ({"grammar": 'start: "a" B\nB: /[0-9]{2}/'}, "a[0-9]{2}"),
        ({"structured_outputs": {"choice": ["é", "🙂"]}}, "é|🙂"),
        ({"json_schema": {"type": "boolean"}}, "true|false"),
    ],
)
@pytest.mark.parametrize("temperature", [0, 1.5])
def test_other_shapes(
    server: RealServer, fields: dict[str, Any], pattern: str, temperature: float
) -> None:
    assert re.fullmatch(pattern, content(server, **fields, temperature=temperature))


@pytest.mark.parametrize(
    "extra", [{}, {"top_k": 5, "top_p": 0.5}, {"typical_p": 0.9, "seed": 2}, {"mirostat": 2}]
)
def test_samplers_keep_to_the_shape(server: RealServer, extra: dict[str, Any]) -> None:
    text = content(
        server, response_format=schema_format(PERSON, strict=True), temperature=1, **extra
    )
    jsonschema.validate(json.loads(text), PERSON)


def test_a_stream_is_the_plain_answer(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {
        "model": "smollm2",
        "messages": HI,
        "temperature": 0,
        "max_tokens": 64,
        "response_format": schema_format(PERSON),
    }
    plain = client.chat.completions.create(**options).choices[0]
    chunks = list(client.chat.completions.create(**options, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == plain.message.content
    assert chunks[-1].choices[0].finish_reason == plain.finish_reason == "stop"


def test_each_choice_follows_by_itself_and_shows_its_tokens(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="smollm2",
        messages=HI,
        n=3,
        seed=5,
        max_tokens=64,
        logprobs=True,
        top_logprobs=2,
        response_format=schema_format(PERSON),  # type: ignore[arg-type]
    )
    texts = [choice.message.content or "" for choice in answer.choices]
    assert len(set(texts)) > 1
    for text, choice in zip(texts, answer.choices, strict=True):
        jsonschema.validate(json.loads(text), PERSON)
        assert choice.logprobs is not None and choice.logprobs.content is not None
        assert "".join(token.token for token in choice.logprobs.content) == text
        assert all(token.logprob <= 0 for token in choice.logprobs.content)


def test_completions_echo_best_of_and_a_stop(server: RealServer) -> None:
    body = {"model": "smollm2", "prompt": "Number: ", "regex": "[0-9]{4};[a-z]+", "max_tokens": 20}
    answer = server.post(COMPLETIONS, {**body, "echo": True, "best_of": 2, "stop": ";"}).json()
    (choice,) = answer["choices"]
    assert re.fullmatch("Number: [0-9]{4}", choice["text"]) and choice["finish_reason"] == "stop"


def test_refusals(server: RealServer) -> None:
    bad = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    error = refused(server, response_format=schema_format(bad))
    assert error["message"].startswith(
        "Invalid schema for response_format 'x': In context=(properties.a.uniqueItems)"
    )
    assert error["param"] == "response_format.json_schema.schema"
    nameless = {"type": "json_schema", "json_schema": {"schema": PERSON}}
    assert refused(server, response_format=nameless)["param"] == "response_format.json_schema.name"
    assert refused(server, response_format={})["param"] == "response_format.type"
    assert refused(server, grammar="root ::= nope")["param"] == "grammar"
    assert refused(server, regex="(?=a)b")["param"] == "regex"
    warned = ask(server, response_format=schema_format(bad, strict=False), max_tokens=2)
    assert warned["warnings"] == "response_format.json_schema.schema.properties.a.uniqueItems"


@pytest.mark.parametrize("stream", [False, True])
def test_bans_that_leave_nothing_are_the_requests_fault(server: RealServer, stream: bool) -> None:
    fields = {"guided_choice": ["a"], "allowed_token_ids": [100], "stream": stream}
    answer = server.post(CHAT, {"model": "smollm2", "messages": HI, "max_tokens": 4, **fields})
    text = answer.text.removeprefix("data: ") if stream else answer.text
    found = re.search(r'\{"error":\{.*\}\}', text)
    assert found is not None, answer.text
    error = json.loads(found[0])["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "guided_choice")


def nested(depth: int) -> Any:
    schema: Any = {"type": "null"}
    for _ in range(depth):
        schema = {"properties": {"a": schema}}
    return schema


NAMES = [f"p{number}" for number in range(5000)]
HOSTILE: dict[str, dict[str, Any]] = {
    "itself": {"json_schema": {"$ref": "#"}},
    "required": {
        "json_schema": {
            "type": "object",
            "properties": dict.fromkeys(NAMES, {"type": "null"}),
            "required": NAMES,
        }
    },
    "optional": {"json_schema": {"type": "object", "properties": dict.fromkeys(NAMES, {})}},
    "nested": {"json_schema": nested(400)},
    "enum": {"json_schema": {"enum": [f"value {number}" for number in range(20_000)]}},
    "regex": {"regex": "(a+)+b"},
    "counted": {"regex": "(.{1,500}){1,500}"},
    "ambiguous": {"grammar": 'start: s\ns: s s s | s s | "a" | "b"'},
    "wide": {"grammar": 'start: ("a"? "b"?){4000}'},
    "long": {"grammar": "root ::=" + ' "a"' * 70_000},
    "parentheses": {"grammar": "root ::= " + "(" * 100_000},
}


@pytest.mark.slow
def test_hostile_shapes_hurt_nobody_else(server: RealServer) -> None:
    expected = ask(server, max_tokens=24)["message"]["content"]
    is_over = threading.Event()
    others: list[str] = []

    def stream() -> None:
        while not is_over.is_set():
            others.append(ask(server, max_tokens=24)["message"]["content"])

    thread = threading.Thread(target=stream)
    thread.start()
    try:
        for fields in HOSTILE.values():
            body = {"model": "smollm2", "messages": HI, "max_tokens": 24, **fields}
            answer = server.post(CHAT, body)
            assert answer.status_code in (200, 400), answer.text
    finally:
        is_over.set()
        thread.join()
    assert others and set(others) == {expected}
    assert server.wait_until_idle()["restarts"] == 0


def test_no_control_token_comes_into_a_string(client: openai.OpenAI) -> None:
    """They are made as likely as can be: id 2 is <|im_end|>, 1 is <|im_start|>."""
    answer = client.chat.completions.create(
        model="smollm2",
        messages=HI,
        max_tokens=12,
        temperature=0,
        extra_body={"return_token_ids": True, "regex": '"[^"]{40}"'},
        logit_bias={"1": 100, "2": 100, "0": 100},
    )
    ids = answer.choices[0].token_ids  # type: ignore[attr-defined]
    assert len(ids) == 12 and not {0, 1, 2} & set(ids)


SCALARS = st.sampled_from(
    [
        {"type": "boolean"},
        {"type": "null"},
        {"type": "integer", "minimum": -5, "maximum": 300},
        {"type": "string", "maxLength": 4},
        {"enum": ["a", 1, None, "é"]},
        {"const": {"b": [1]}},
        {"type": "string", "format": "date"},
        {"type": "string", "pattern": "^[a-f]{2,3}$"},
        {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 0, "maximum": 9}]},
    ]
)


def objects(inner: Any) -> Any:
    return st.dictionaries(st.sampled_from("abc"), inner, max_size=3).flatmap(
        lambda properties: st.builds(
            lambda required: {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": False,
            },
            st.lists(st.sampled_from(sorted(properties)), unique=True)
            if properties
            else st.just([]),
        )
    )


SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: (
        objects(inner)
        | st.builds(lambda items: {"type": "array", "items": items, "maxItems": 2}, inner)
    ),
    max_leaves=4,
)


NUM_AT_ONCE, NUM_ROUNDS = 8, 63


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_five_hundred_random_schemas_are_kept_to(server: RealServer) -> None:
    finished = []

    def check_one(case: tuple[Any, int]) -> None:
        schema, seed = case
        fields = {"response_format": schema_format(schema), "seed": seed, "temperature": 1}
        choice = ask(server, **fields, max_tokens=64)
        if choice["finish_reason"] == "stop":
            jsonschema.validate(json.loads(choice["message"]["content"]), schema)
            finished.append(schema)

    @settings(
        max_examples=NUM_ROUNDS,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        phases=[Phase.generate],  # a failure names its schema as it is
    )
    @given(st.lists(st.tuples(SCHEMAS, st.integers(0, 99)), min_size=8, max_size=8))
    def check(cases: list[tuple[Any, int]]) -> None:
        with ThreadPoolExecutor(NUM_AT_ONCE) as pool:
            list(pool.map(check_one, cases))

    check()
    assert len(finished) > 0.6 * NUM_AT_ONCE * NUM_ROUNDS


@pytest.fixture(scope="module")
def small(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Sequences that do not fit beside each other, with a vocabulary that puts a blank first."""
    log = tmp_path_factory.mktemp("small") / "log"
    options = ("--alias", "tiny", "--context-size", "128", "--parallel", "4", "--kv", "unified")
    with RealServer.start(tiny_gguf, *options, "--cache-size", "160", log=log) as running:
        yield running


PAIRS = "(ab[0-9]){60}"


def pairs(server: RealServer, **fields: Any) -> list[dict[str, Any]]:
    body = {"model": "tiny", "prompt": "a b", "regex": PAIRS, "seed": 1, **fields}
    answer = server.post(COMPLETIONS, body)
    assert answer.status_code == 200, answer.text
    choices: list[dict[str, Any]] = answer.json()["choices"]
    return choices


def test_a_preempted_answer_goes_on_in_its_shape(small: RealServer) -> None:
    before = small.counters()["preemptions_total"]
    choices = pairs(small, n=4, max_tokens=100)
    assert small.wait_until_idle()["preemptions_total"] > before
    for choice in choices:
        assert choice["finish_reason"] == "length"
        assert re.fullmatch("(ab[0-9])+(a|ab)?", choice["text"]), choice


def test_a_shifted_answer_goes_on_in_its_shape(small: RealServer) -> None:
    (choice,) = pairs(small, max_tokens=400, context_overflow="shift")
    assert choice["finish_reason"] == "stop"
    assert re.fullmatch(PAIRS, choice["text"]) and len(choice["text"]) == 180


def test_a_vocabulary_that_puts_a_blank_first(small: RealServer) -> None:
    body = {"model": "tiny", "prompt": "a", "json_schema": {"type": "boolean"}, "max_tokens": 40}
    answer = small.post(COMPLETIONS, body).json()
    assert json.loads(answer["choices"][0]["text"]) in (True, False)
