"""The official client of Anthropic's API against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import anthropic
import pydantic
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.anthropic.test_request import FIELDS, VALUES
from tests.integration.test_lifecycle import engine_of
from tests.real_server import RealServer

pytestmark = pytest.mark.integration

HI: list[Any] = [{"role": "user", "content": "Hi"}]
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


@pytest.fixture
def claude(server: RealServer) -> Iterator[anthropic.Anthropic]:
    with make_client(server) as client:
        yield client


def make_client(server: RealServer, **options: Any) -> anthropic.Anthropic:
    settings = {"base_url": server.url, "api_key": "k", "max_retries": 0, **options}
    return anthropic.Anthropic(**settings)


def ask(client: anthropic.Anthropic, **fields: Any) -> Any:
    body = {"model": "smollm2", "max_tokens": 12, "messages": HI, "temperature": 0, **fields}
    return client.messages.create(**extra(body))


def extra(body: dict[str, Any]) -> dict[str, Any]:
    """The client's newest version has no argument for what older models could be told."""
    old = {name: body.pop(name) for name in ("temperature", "top_p", "top_k") if name in body}
    return {**body, "extra_body": old}


def test_a_message(claude: anthropic.Anthropic) -> None:
    message = ask(claude)
    assert (message.type, message.role, message.model) == ("message", "assistant", "smollm2")
    assert message.id.startswith("msg_")
    assert message.content[0].text
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.output_tokens <= 12
    assert message._request_id.startswith("req_")


def test_max_tokens_cuts(claude: anthropic.Anthropic) -> None:
    message = ask(claude, max_tokens=2)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 2)


def test_the_end_of_the_context_cuts(tiny_server: RealServer) -> None:
    with make_client(tiny_server) as client:
        message = ask(client, model="tiny", max_tokens=4000)
    assert message.stop_reason == "model_context_window_exceeded"
    assert total(message.usage) + message.usage.output_tokens >= 512


def test_a_stream_is_the_message_in_order(claude: anthropic.Anthropic) -> None:
    body = extra({"model": "smollm2", "max_tokens": 12, "messages": HI, "temperature": 0})
    with claude.messages.stream(**body) as stream:
        names = [event.type for event in stream]
        final = stream.get_final_message()
    raw = [name for name in names if name != "text"]
    assert raw[:2] == ["message_start", "content_block_start"]
    assert raw[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(raw[2:-3]) == {"content_block_delta"}
    plain = ask(claude)
    assert final.content[0].text == plain.content[0].text
    assert final.stop_reason == plain.stop_reason
    assert total(final.usage) == total(plain.usage)
    assert final.usage.output_tokens == plain.usage.output_tokens


def total(usage: Any) -> int:
    found: int = usage.input_tokens + (usage.cache_read_input_tokens or 0)
    return found


def test_count_tokens_is_what_the_usage_says(claude: anthropic.Anthropic) -> None:
    same: dict[str, Any] = {
        "model": "smollm2",
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": "Bye"},
        ],
    }
    counted = claude.messages.count_tokens(**same).input_tokens
    first, second = (claude.messages.create(max_tokens=1, **same).usage for _ in range(2))
    assert total(first) == total(second) == counted
    assert second.cache_read_input_tokens > 0


def test_text_is_a_block_of_text(claude: anthropic.Anthropic) -> None:
    blocks = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    count = claude.messages.count_tokens
    assert count(model="smollm2", messages=HI) == count(model="smollm2", messages=blocks)  # type: ignore[arg-type]


def test_the_prompt_is_the_chats(claude: anthropic.Anthropic, server: RealServer) -> None:
    counted = claude.messages.count_tokens(model="smollm2", messages=HI, system="Be brief.")
    messages = [{"role": "system", "content": "Be brief."}, *HI]
    body = {"model": "smollm2", "messages": messages}
    answer = server.post("/v1/chat/completions/input_tokens", body).json()
    assert counted.input_tokens == answer["input_tokens"]


def test_an_assistants_last_message_is_continued(claude: anthropic.Anthropic) -> None:
    begun = {"role": "assistant", "content": "One, two, three,"}
    message = ask(claude, messages=[{"role": "user", "content": "Count to ten."}, begun])
    assert "four" in message.content[0].text


def test_a_stop_sequence_is_told(claude: anthropic.Anthropic) -> None:
    begun = {"role": "assistant", "content": "One, two, three,"}
    message = ask(
        claude,
        messages=[{"role": "user", "content": "Count to ten."}, begun],
        stop_sequences=["never", "four"],
    )
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "four")
    assert "four" not in "".join(block.text for block in message.content)


def test_an_answer_of_a_schema(claude: anthropic.Anthropic) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"]}
    schema["additionalProperties"] = False
    message = ask(
        claude,
        max_tokens=40,
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert json.loads(message.content[0].text) == {"a": "x"}


class Person(pydantic.BaseModel):
    name: Literal["Ada", "Bob"]
    age: Literal[7, 8]


def test_an_answer_that_is_parsed(claude: anthropic.Anthropic) -> None:
    asked = extra({"model": "smollm2", "max_tokens": 60, "messages": HI, "temperature": 0})
    parsed = claude.messages.parse(output_format=Person, **asked)
    assert isinstance(parsed.parsed_output, Person)
    with claude.messages.stream(output_format=Person, **asked) as stream:
        assert stream.get_final_message().parsed_output == parsed.parsed_output


def test_raw_events_and_the_beta_routes(claude: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": "smollm2", "max_tokens": 3, "messages": HI}
    with claude.messages.create(stream=True, **asked) as events:
        assert [event.type for event in events][-2:] == ["message_delta", "message_stop"]
    beta = claude.beta.messages
    assert beta.create(betas=["of-tomorrow"], **asked).usage.output_tokens == 3
    counted = beta.count_tokens(model="smollm2", messages=HI)
    assert (
        counted.input_tokens
        == claude.messages.count_tokens(model="smollm2", messages=HI).input_tokens
    )


def test_the_asynchronous_client(server: RealServer) -> None:
    async def ask_it() -> tuple[str, str]:
        settings: dict[str, Any] = {"base_url": server.url, "api_key": "k", "max_retries": 0}
        body = extra({"model": "smollm2", "max_tokens": 5, "messages": HI, "temperature": 0})
        async with anthropic.AsyncAnthropic(**settings) as client:
            async with client.messages.stream(**body) as stream:
                text = "".join([text async for text in stream.text_stream])
            message = await client.messages.create(**body)
        return text, message.content[0].text

    streamed, plain = asyncio.run(ask_it())
    assert streamed == plain != ""


def test_a_client_that_leaves_frees_its_sequence(
    claude: anthropic.Anthropic, server: RealServer
) -> None:
    server.wait_until_idle()
    count = {"role": "user", "content": "Count to a thousand. One, two, three."}
    with claude.messages.stream(model="smollm2", max_tokens=900, messages=[count]) as stream:  # type: ignore[list-item]
        next(stream)
    assert server.wait_until_idle()["used_cells"] == 0


def test_a_stream_of_an_engine_that_dies(tiny_server: RealServer) -> None:
    engine = engine_of(tiny_server)
    with make_client(tiny_server) as client:
        stream = client.messages.create(model="tiny", max_tokens=400, messages=HI, stream=True)
        # What nobody has heard of is computed again.
        next(event for event in stream if event.type == "content_block_delta")
        engine.suspend()  # so that the stream does not end by itself before the engine does
        engine.kill()
        with pytest.raises(anthropic.APIStatusError) as caught:
            list(stream)
    assert caught.value.type == "overloaded_error"  # killed from outside: worth another try


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_tool_is_called_and_its_result_read(
    claude: anthropic.Anthropic, choice: dict[str, str]
) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    asked = {
        "max_tokens": 60,
        "tools": [WEATHER],
        "tool_choice": {**choice, "disable_parallel_tool_use": True},
    }
    message = ask(claude, messages=messages, **asked)
    call = message.content[-1]
    assert message.stop_reason == "tool_use"
    assert (call.type, call.name) == ("tool_use", "get_weather")
    assert call.input["city"] in ("Paris", "Rome")
    assert call.id.startswith("toolu_")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Sunny."}
    messages += [
        {"role": "assistant", "content": [block.model_dump() for block in message.content]},
        {"role": "user", "content": [result]},
    ]
    answer = ask(claude, messages=messages, tools=[WEATHER], tool_choice={"type": "none"})
    assert answer.content[0].text


def test_a_streamed_call(claude: anthropic.Anthropic) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    with claude.messages.stream(
        model="smollm2",
        max_tokens=60,
        messages=messages,
        tools=[WEATHER],  # type: ignore[list-item]
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    ) as stream:
        events = list(stream)
        final = stream.get_final_message()
    call = final.content[-1]
    assert final.stop_reason == "tool_use"
    assert call.type == "tool_use"
    assert isinstance(call.input, dict)
    assert call.input["city"] in ("Paris", "Rome")
    assert [event.type for event in events if "start" in event.type] == [
        "message_start",
        "content_block_start",
    ]


def test_tools_count(claude: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": "smollm2", "messages": HI, "tools": [WEATHER]}
    counted = claude.messages.count_tokens(**asked).input_tokens
    assert counted > claude.messages.count_tokens(model="smollm2", messages=HI).input_tokens
    assert total(claude.messages.create(max_tokens=1, **asked).usage) == counted


class TestFailures:
    def test_a_field_is_named(self, claude: anthropic.Anthropic) -> None:
        image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
        with pytest.raises(anthropic.BadRequestError) as caught:
            ask(claude, messages=[*HI, {"role": "user", "content": [image]}])
        assert caught.value.body["error"]["message"].startswith("messages.1.content.0: ")  # type: ignore[index]
        assert caught.value.request_id

    def test_a_prompt_that_is_too_long(self, claude: anthropic.Anthropic) -> None:
        long = [{"role": "user", "content": "word " * 2000}]
        with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 10"):
            ask(claude, messages=long)

    def test_an_unknown_model(self, claude: anthropic.Anthropic) -> None:
        with pytest.raises(anthropic.NotFoundError) as caught:
            ask(claude, model="nope")
        assert caught.value.type == "not_found_error"

    def test_a_path_that_is_not_served(self, claude: anthropic.Anthropic) -> None:
        with pytest.raises(anthropic.NotFoundError, match="Invalid URL"):
            claude.messages.batches.list()


def test_models(claude: anthropic.Anthropic) -> None:
    listed = list(claude.models.list())
    assert [model.id for model in listed] == ["smollm2", "org/name"]
    assert listed[0].max_input_tokens == 1024
    assert claude.models.retrieve("smollm2") == listed[0]


def test_hints_and_betas_are_reported(server: RealServer) -> None:
    body = {
        "model": "smollm2",
        "max_tokens": 1,
        "messages": HI,
        "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
        "metadata": {"user_id": "u"},
        "betas_of_tomorrow": {},
    }
    answer = server.post("/v1/messages?beta=true", body, headers={"anthropic-beta": "a,b"})
    assert answer.status_code == 200
    warnings = answer.headers["x-cria-warnings"].split(", ")
    assert warnings == ["metadata", "system[0].cache_control", "betas_of_tomorrow"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(FIELDS, VALUES, max_size=3), st.lists(VALUES, max_size=2), st.booleans())
def test_any_body_is_answered_or_refused(
    tiny_server: RealServer, fields: dict[str, Any], blocks: list[Any], streams: bool
) -> None:
    messages = [{"role": "user", "content": blocks}]
    body = {"model": "tiny", "max_tokens": 2, "messages": messages, "stream": streams}
    data = json.dumps(body | fields)
    answer = requests.post(f"{tiny_server.url}/v1/messages", data=data, timeout=30)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert answer.json()["request_id"] == answer.headers["request-id"]
    elif streams:
        assert answer.content.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_keys(default_model: Path, tmp_path: Path) -> None:
    options = ("--alias", "smollm2", "--context-size", "512", "--api-key", "secret")
    with RealServer.start(default_model, *options, log=tmp_path / "log") as server:
        with make_client(server, api_key="secret") as client:
            assert ask(client, max_tokens=1).content
        body = {"model": "smollm2", "max_tokens": 1, "messages": HI}
        known = server.post("/v1/messages", body, headers={"x-api-key": "secret"})
        assert known.status_code == 200
        with make_client(server, api_key="wrong") as client:
            with pytest.raises(anthropic.AuthenticationError) as caught:
                ask(client)
        assert caught.value.type == "authentication_error"
        stranger = requests.get(f"{server.url}/v1/messages", timeout=30)
        assert stranger.json()["request_id"] == stranger.headers["request-id"]
