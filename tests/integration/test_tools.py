"""Tool calls from a real server, as the official client sees them; jsonschema judges arguments."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jsonschema
import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletion

from tests.real_server import RealServer

pytestmark = pytest.mark.integration

CHAT = "/v1/chat/completions"
ASKED: Any = {"role": "user", "content": "Weather in Paris?"}
PLACE = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Paris", "Rome", "Oslo"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
TRIP = {
    "type": "object",
    "properties": {
        "from": {"$ref": "#/$defs/place"},
        "notes": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 2},
        "is_return": {"type": "boolean"},
    },
    "required": ["from"],
    "additionalProperties": False,
    "$defs": {"place": PLACE},
}


def function(name: str, parameters: Any = None, **more: Any) -> Any:
    body = {"name": name, "parameters": parameters, **more}
    return {"type": "function", "function": body}


def custom(name: str, syntax: str, definition: str) -> Any:
    grammar = {"syntax": syntax, "definition": definition}
    return {
        "type": "custom",
        "custom": {"name": name, "format": {"type": "grammar"} | {"grammar": grammar}},
    }


WEATHER = function("get_weather", PLACE, description="The weather of a city.")
BOOK = function("book_trip", TRIP, description="Book a trip.")
STOP = function("stop")
NAMED: Any = {"type": "function", "function": {"name": "get_weather"}}
SCHEMAS = {"get_weather": PLACE, "book_trip": TRIP, "stop": {"type": "object", "maxProperties": 0}}


@pytest.fixture(scope="module")
def client(server: RealServer) -> openai.OpenAI:
    return server.client()


def question(**options: Any) -> dict[str, Any]:
    usual = {"model": "smollm2", "messages": [ASKED], "max_tokens": 96, "seed": 1}
    # A model this small may not know when it has called enough.
    return {**usual, "tools": [WEATHER], "parallel_tool_calls": False, **options}


def ask(client: openai.OpenAI, **options: Any) -> ChatCompletion:
    answer = client.chat.completions.create(**question(**options))
    assert isinstance(answer, ChatCompletion)
    return answer


def refused(server: RealServer, **options: Any) -> dict[str, Any]:
    answer = server.post(CHAT, question(**options))
    assert answer.status_code == 400, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


def check_calls(choice: Any) -> list[str]:
    """The calls of a choice are whole and fit their schemas; their names."""
    assert choice.finish_reason == "tool_calls", choice
    assert not choice.message.content
    calls = choice.message.tool_calls
    for call in calls:
        assert call.type == "function" and re.fullmatch("call_[A-Za-z0-9]{24}", call.id)
        jsonschema.validate(json.loads(call.function.arguments), SCHEMAS[call.function.name])
    assert len({call.id for call in calls}) == len(calls) > 0
    return [call.function.name for call in calls]


def test_a_required_call(client: openai.OpenAI) -> None:
    answer = ask(client, tool_choice="required", tools=[WEATHER, BOOK])
    assert set(check_calls(answer.choices[0])) <= {"get_weather", "book_trip"}
    assert answer.choices[0].message.content is None
    assert answer.usage is not None and answer.usage.completion_tokens > 5


def test_a_named_call(client: openai.OpenAI, server: RealServer) -> None:
    for named in (NAMED, {"type": "function", "function": {"name": "book_trip"}}):
        answer = ask(client, tool_choice=named, tools=[WEATHER, BOOK])
        assert check_calls(answer.choices[0]) == [named["function"]["name"]]
    unknown = {"type": "function", "function": {"name": "nope"}}
    assert refused(server, tool_choice=unknown)["param"] == "tool_choice"
    assert refused(server, tool_choice="required", tools=[])["param"] == "tool_choice"


def test_a_call_without_arguments(client: openai.OpenAI) -> None:
    answer = ask(client, tool_choice="required", tools=[STOP])
    (call,) = answer.choices[0].message.tool_calls or ()
    assert call.type == "function" and json.loads(call.function.arguments) == {}


def test_some_of_the_tools(client: openai.OpenAI) -> None:
    allowed: Any = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [NAMED]},
    }
    answer = ask(client, tool_choice=allowed, tools=[BOOK, WEATHER, STOP])
    assert set(check_calls(answer.choices[0])) == {"get_weather"}


def test_no_calls_at_all(server: RealServer) -> None:
    body = question(tool_choice="none", max_tokens=24)
    for stream in (False, True):
        answer = server.post(CHAT, body | {"stream": stream})
        assert answer.status_code == 200 and '"tool_calls"' not in answer.text


@pytest.mark.parametrize("temperature", [0, 1])
def test_a_stream_of_calls(client: openai.OpenAI, temperature: float) -> None:
    options = question(
        tool_choice="required",
        tools=[WEATHER, BOOK],
        temperature=temperature,
        parallel_tool_calls=True,
    )
    plain = client.chat.completions.create(**options).choices[0]
    ids, names, texts = [], [], []
    for chunk in client.chat.completions.create(**options, stream=True):
        assert not chunk.choices[0].delta.content
        for call in chunk.choices[0].delta.tool_calls or ():
            if call.index == len(texts):
                assert (call.type, call.function.arguments) == ("function", "")
                ids.append(call.id)
                names.append(call.function.name)
                texts.append("")
            else:
                assert call.index == len(texts) - 1  # the one before is complete
                assert (call.id, call.type, call.function.name) == (None, None, None)
                texts[-1] += call.function.arguments
    assert chunk.choices[0].finish_reason == plain.finish_reason
    assert plain.finish_reason in ("tool_calls", "length")  # it may go on calling
    expected = [(c.function.name, c.function.arguments) for c in plain.message.tool_calls]
    assert list(zip(names, texts, strict=True)) == expected
    assert len(set(ids)) == len(ids) > 0


def test_the_streaming_helper_ends_with_one_call(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(**question(tool_choice=NAMED)) as stream:
        final = stream.get_final_completion()
    assert check_calls(final.choices[0]) == ["get_weather"]
    assert final.choices[0].message.role == "assistant"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_call_at_most(client: openai.OpenAI, seed: int) -> None:
    answer = ask(client, tool_choice="required", seed=seed)
    assert check_calls(answer.choices[0]) == ["get_weather"]


def test_a_whole_loop(client: openai.OpenAI) -> None:
    """The answer goes back as the client dumps it, nulls and all."""
    messages: list[Any] = [ASKED]
    prompts = []
    for _ in range(3):
        answer = ask(client, messages=messages, tool_choice=NAMED)
        assert answer.usage is not None
        prompts.append(answer.usage.prompt_tokens)
        check_calls(answer.choices[0])
        message = answer.choices[0].message
        messages.append(message.model_dump())
        for call in message.tool_calls or ():
            messages.append({"role": "tool", "tool_call_id": call.id, "content": '{"sky": "grey"}'})
    assert prompts == sorted(set(prompts))
    final = ask(client, messages=messages, tool_choice="none", max_tokens=8).choices[0]
    assert final.message.tool_calls is None and final.message.content


def test_arguments_that_are_no_json_are_replayed(server: RealServer) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": '{"ci'}}
    messages = [
        ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "no"},
    ]
    answer = server.post(CHAT, question(messages=messages, max_tokens=4))
    assert answer.status_code == 200, answer.text


def test_the_older_form(client: openai.OpenAI) -> None:
    options: Any = {
        "model": "smollm2",
        "messages": [ASKED],
        "max_tokens": 96,
        "functions": [{"name": "get_weather", "parameters": PLACE}],
        "function_call": {"name": "get_weather"},
    }
    choice = client.chat.completions.create(**options).choices[0]
    assert (choice.finish_reason, choice.message.tool_calls) == ("function_call", None)
    assert choice.message.function_call.name == "get_weather"
    jsonschema.validate(json.loads(choice.message.function_call.arguments), PLACE)
    chunks = list(client.chat.completions.create(**options, stream=True))
    calls = [c.choices[0].delta.function_call for c in chunks if c.choices[0].delta.function_call]
    assert [call.name for call in calls if call.name] == ["get_weather"]
    jsonschema.validate(json.loads("".join(call.arguments or "" for call in calls)), PLACE)
    assert chunks[-1].choices[0].finish_reason == "function_call"


@pytest.mark.parametrize(
    ("syntax", "definition", "pattern"),
    [
        ("regex", "[a-c]{2,4}-[0-9]", "[a-c]{2,4}-[0-9]"),
        ("lark", 'start: "add " NUMBER\nNUMBER: /[0-9]{1,3}/', "add [0-9]{1,3}"),
    ],
)
def test_a_custom_tool(server: RealServer, syntax: str, definition: str, pattern: str) -> None:
    tools = [custom("run", syntax, definition)]
    body = question(tools=tools, tool_choice={"type": "custom", "custom": {"name": "run"}})
    (choice,) = server.post(CHAT, body).json()["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert (call["type"], call["custom"]["name"], choice["finish_reason"]) == (
        "custom",
        "run",
        "tool_calls",
    )
    assert re.fullmatch(pattern, call["custom"]["input"])
    client = server.client()
    joined = ""
    for chunk in client.chat.completions.create(**body, stream=True):
        for delta in chunk.choices[0].delta.tool_calls or ():
            joined += delta.model_extra["custom"]["input"]
    assert re.fullmatch(pattern, joined)


def test_a_custom_tool_of_any_text(server: RealServer) -> None:
    tools = [{"type": "custom", "custom": {"name": "run"}}]
    (choice,) = server.post(CHAT, question(tools=tools, tool_choice="required")).json()["choices"]
    calls = choice["message"]["tool_calls"]
    assert {(call["type"], call["custom"]["name"]) for call in calls} == {("custom", "run")}


class Place(pydantic.BaseModel):
    city: Literal["Paris", "Rome"]
    days: int = pydantic.Field(ge=1, le=9)


def test_the_client_parses_arguments(client: openai.OpenAI) -> None:
    tool = openai.pydantic_function_tool(Place)
    answer = client.chat.completions.parse(**question(tools=[tool], tool_choice="required"))
    for call in answer.choices[0].message.tool_calls or ():
        assert isinstance(call.function.parsed_arguments, Place)
    assert answer.choices[0].message.tool_calls


def test_each_choice_calls_by_itself(client: openai.OpenAI) -> None:
    answer = ask(client, tool_choice="required", n=3, temperature=1.2)
    for choice in answer.choices:
        check_calls(choice)
    ids = [call.id for choice in answer.choices for call in choice.message.tool_calls or ()]
    assert len(set(ids)) == len(ids) >= 3


def test_a_call_shows_its_tokens(client: openai.OpenAI) -> None:
    options = question(tool_choice=NAMED, temperature=0, logprobs=True, top_logprobs=1)
    plain = client.chat.completions.create(**options).choices[0]
    joined = "".join(token.token for token in plain.logprobs.content)
    assert "get_weather" in joined
    assert plain.message.tool_calls[0].function.arguments in joined
    streamed = [
        token
        for chunk in client.chat.completions.create(**options, stream=True)
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content
    ]
    assert [t.token for t in streamed] == [t.token for t in plain.logprobs.content]


def test_a_limit_cuts_a_call(client: openai.OpenAI) -> None:
    answer = ask(client, tool_choice=NAMED, max_tokens=4)
    assert answer.choices[0].finish_reason == "length"


def test_a_call_or_an_answer_of_a_shape(client: openai.OpenAI) -> None:
    shape: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": PLACE}}
    for seed in range(4):
        choice = ask(client, response_format=shape, seed=seed, temperature=1).choices[0]
        if choice.message.tool_calls:
            check_calls(choice)
        else:
            assert choice.finish_reason == "stop"
            jsonschema.validate(json.loads(choice.message.content or ""), PLACE)


def test_a_stop_string_leaves_calls_alone(client: openai.OpenAI) -> None:
    answer = ask(client, tool_choice=NAMED, stop=["city", "Paris", "}"])
    assert check_calls(answer.choices[0]) == ["get_weather"]


def test_schemas_that_cannot_be_enforced(server: RealServer) -> None:
    bad = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    error = refused(server, tools=[function("f", bad, strict=True)])
    assert error["param"] == "tools[0].function.parameters"
    assert error["message"].startswith("Invalid schema for function 'f': ")
    hint = server.post(CHAT, question(tools=[function("f", bad)], max_tokens=4))
    assert hint.status_code == 200
    assert "tools[0].function.parameters" in hint.headers["x-cria-warnings"]
    error = refused(server, tools=[custom("g", "regex", "(?=a)b")], tool_choice="required")
    assert error["param"] == "tools[0].custom.format.grammar.definition"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_forced_call_fits_every_time(client: openai.OpenAI) -> None:
    """Two hundred of them, whatever the model is inclined to."""

    def run(seed: int) -> ChatCompletion:
        return ask(
            client,
            tools=[WEATHER, BOOK],
            tool_choice="required",
            temperature=1,
            seed=seed * 100,
            n=5,
            max_tokens=160,
        )

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(run, range(40)))
    choices = [choice for answer in answers for choice in answer.choices]
    names = [check_calls(choice) for choice in choices]
    assert len(names) == 200
    assert {name for (name,) in names} <= {"get_weather", "book_trip"}
