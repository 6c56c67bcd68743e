"""The official client's Responses API against the real server and the real default model.

Tests of tools and thinking need a model that is told of tools: `tool_choice` forces the calls here,
so that a small model makes them too.
"""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import psutil
import pydantic
import pytest
import requests
from openai.types.responses import Response

from tests.real_server import RealServer, wait_for

pytestmark = pytest.mark.integration

TEXT_EVENTS = (
    "created in_progress output_item.added content_part.added output_text.delta output_text.done "
    "content_part.done output_item.done completed"
)
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
UNFINISHED = ("queued", "in_progress")


class Person(pydantic.BaseModel):
    name: str
    age: int


@pytest.fixture(scope="module")
def client(server: RealServer) -> openai.OpenAI:
    return server.client()


def create(client: openai.OpenAI, asked: Any = "Hi", **fields: Any) -> Response:
    fields = {"temperature": 0, "max_output_tokens": 64, **fields}
    made = client.responses.create(model="smollm2", input=asked, **fields)
    assert isinstance(made, Response)
    return made


def ended(client: openai.OpenAI, made: Response) -> Response:
    return wait_for(
        lambda: client.responses.retrieve(made.id), lambda r: r.status not in UNFINISHED, "its end"
    )


def test_a_response(client: openai.OpenAI) -> None:
    made = create(client)
    assert (made.object, made.status, made.error) == ("response", "completed", None)
    assert made.output_text
    message = made.output[-1]
    assert message.type == "message" and message.content[0].type == "output_text"
    assert made.usage is not None
    assert isinstance(made.usage.input_tokens_details.cached_tokens, int)
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens
    keys = (
        "id object created_at error incomplete_details instructions model tools output "
        "parallel_tool_calls metadata tool_choice temperature top_p store usage text reasoning"
    )
    assert set(keys.split()) <= set(made.model_dump())


def test_it_says_what_a_chat_says(client: openai.OpenAI) -> None:
    chat = client.chat.completions.create(
        model="smollm2", messages=[{"role": "user", "content": "Hi"}], temperature=0, max_tokens=64
    )
    made = create(client)
    assert made.output_text == chat.choices[0].message.content
    assert chat.usage is not None and made.usage is not None
    assert made.usage.input_tokens == chat.usage.prompt_tokens
    counted = client.responses.input_tokens.count(model="smollm2", input="Hi")
    assert counted.input_tokens == made.usage.input_tokens


def test_a_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model="smollm2", input="Hi", temperature=0, max_output_tokens=64
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    names = [event.type.removeprefix("response.") for event in events]
    assert " ".join(dict.fromkeys(names)) == TEXT_EVENTS
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert final.output_text == "".join(deltas) == create(client).output_text
    assert len(deltas) > 3


def test_the_name_of_an_event_stands_in_it_too(server: RealServer) -> None:
    body = {"model": "smollm2", "input": "Hi", "stream": True, "max_output_tokens": 8}
    answer = server.post("/v1/responses", body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    for block in answer.text.split("\n\n")[:-1]:
        name, data = block.split("\n")
        assert f'data: {{"type":"{name.removeprefix("event: ")}"' in data


def test_a_chain_recalls(client: openai.OpenAI) -> None:
    first = create(client, "My name is Ann.", instructions="Be brief.")
    second = create(client, "Hi", previous_response_id=first.id)
    whole = [
        {"role": "user", "content": "My name is Ann."},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "Hi"},
    ]
    alone = create(client, whole)
    assert second.previous_response_id == first.id
    assert second.usage is not None and alone.usage is not None
    # The same conversation, so without the instructions.
    assert second.usage.input_tokens == alone.usage.input_tokens
    assert second.instructions is None


def test_what_is_not_kept_cannot_be_gone_on_from(client: openai.OpenAI) -> None:
    made = create(client, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    for name in (made.id, "resp_unknown"):
        with pytest.raises(openai.BadRequestError) as caught:
            create(client, previous_response_id=name)
        assert caught.value.code == "previous_response_not_found"


def test_an_answer_that_is_cut_is_incomplete(client: openai.OpenAI) -> None:
    fields: Any = {"max_output_tokens": 16, "extra_body": {"ignore_eos": True}}
    made = create(client, **fields)
    assert made.status == "incomplete" and made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    assert made.usage is not None and made.usage.output_tokens == 16
    stream = client.responses.create(model="smollm2", input="Hi", stream=True, **fields)
    assert list(stream)[-1].type == "response.incomplete"


def test_what_is_kept_is_retrieved_listed_and_deleted(client: openai.OpenAI) -> None:
    made = create(client, [{"role": "user", "content": word} for word in ("Hi", "you", "there")])
    assert client.responses.retrieve(made.id).model_dump() == made.model_dump()
    page = client.responses.input_items.list(made.id, limit=2)
    assert page.has_more
    texts = [item.content[0].text for item in page]  # type: ignore[union-attr]
    assert texts == ["there", "you", "Hi"]
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_an_item_of_another_response_can_be_named(client: openai.OpenAI) -> None:
    made = create(client)
    reference: Any = {"type": "item_reference", "id": made.output[-1].id}
    again = create(
        client, [{"role": "user", "content": "Hi"}, reference, {"role": "user", "content": "Hi"}]
    )
    assert again.usage is not None and made.usage is not None
    assert again.usage.input_tokens > made.usage.input_tokens + 5
    with pytest.raises(openai.NotFoundError, match="Item with id 'msg_unknown' not found"):
        create(client, [{"type": "item_reference", "id": "msg_unknown"}])


def test_in_the_background(client: openai.OpenAI) -> None:
    made = create(client, background=True)
    assert made.status in UNFINISHED
    done = ended(client, made)
    assert (done.status, done.output_text) == ("completed", create(client).output_text)


def test_a_background_run_is_cancelled(client: openai.OpenAI, server: RealServer) -> None:
    made = create(client, background=True, max_output_tokens=900, extra_body={"ignore_eos": True})
    wait_for(lambda: client.responses.retrieve(made.id).status, lambda s: s == "in_progress", "it")
    cancelled = client.responses.cancel(made.id)
    assert cancelled.status == "cancelled"
    assert client.responses.cancel(made.id).model_dump() == cancelled.model_dump()
    server.wait_until_idle()
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(create(client).id)


def test_a_background_stream_can_be_taken_up_again(client: openai.OpenAI) -> None:
    stream = client.responses.create(
        model="smollm2", input="Hi", temperature=0, background=True, stream=True
    )
    seen = []
    for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    stream.close()
    last = seen[-1].sequence_number
    first: Any = seen[0]
    rest = list(client.responses.retrieve(first.response.id, stream=True, starting_after=last))
    numbers = [event.sequence_number for event in [*seen, *rest]]
    assert numbers == list(range(len(numbers)))
    assert rest[-1].type == "response.completed"
    with client.responses.stream(response_id=first.response.id, starting_after=last) as again:
        assert [event.sequence_number for event in again] == [e.sequence_number for e in rest]


def test_a_client_that_leaves_ends_its_stream(client: openai.OpenAI, server: RealServer) -> None:
    stream = client.responses.create(
        model="smollm2", input="Hi", stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    stream.close()
    assert server.wait_until_idle()["running"] == 0


def test_json(client: openai.OpenAI) -> None:
    made = client.responses.parse(
        model="smollm2", input="Invent somebody.", text_format=Person, temperature=0
    )
    assert isinstance(made.output_parsed, Person)
    with pytest.raises(
        openai.BadRequestError, match="Invalid schema for response_format"
    ) as caught:
        create(
            client,
            text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "nothing"}}},
        )
    assert (caught.value.param, caught.value.code) == ("text.format.schema", "invalid_json_schema")


def test_log_probabilities(client: openai.OpenAI) -> None:
    made = create(client, include=["message.output_text.logprobs"], top_logprobs=2)
    part = made.output[-1].content[0]  # type: ignore[union-attr,index]
    assert part.logprobs is not None  # type: ignore[union-attr]
    text = b"".join(bytes(each.bytes) for each in part.logprobs if each.bytes)  # type: ignore[union-attr]
    assert text.decode() == made.output_text
    assert all(len(each.top_logprobs) == 2 for each in part.logprobs)  # type: ignore[union-attr]


def test_a_prompt_that_is_too_long_is_the_input(client: openai.OpenAI) -> None:
    words: Any = "word " * 3000
    for fields in ({}, {"stream": True}, {"background": True}):
        with pytest.raises(openai.BadRequestError, match="maximum context length") as caught:
            client.responses.create(model="smollm2", input=words, **fields)
        assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
    turns: Any = [{"role": "user", "content": words}, {"role": "user", "content": "Hi"}]
    raw = client.responses.with_raw_response.create(
        model="smollm2", input=turns, truncation="auto", max_output_tokens=8
    )
    assert "truncation" in raw.headers["x-cria-warnings"]


def test_a_forced_call_and_its_output(client: openai.OpenAI) -> None:
    question = "What is the weather in Paris?"
    tools: Any = {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False}
    made = create(client, question, **tools)
    call = next(item for item in made.output if item.type == "function_call")
    assert (call.name, call.status) == ("get_weather", "completed")
    assert call.call_id.startswith("call_")
    assert json.loads(call.arguments)["city"] in ("Paris", "Rome")
    with pytest.raises(openai.BadRequestError, match="No tool output found") as caught:
        create(client, "And now?", previous_response_id=made.id)
    assert caught.value.param == "input"
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
    done = create(
        client, [output], previous_response_id=made.id, tools=[WEATHER], tool_choice="none"
    )
    assert done.output_text
    replayed: Any = [{"role": "user", "content": question}, *made.output, output]
    again = create(client, replayed, tools=[WEATHER], tool_choice="none")
    assert again.usage is not None and done.usage is not None
    assert again.usage.input_tokens == done.usage.input_tokens


def test_a_streamed_call(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model="smollm2",
        input="What is the weather in Paris?",
        tools=[WEATHER],
        tool_choice={"type": "function", "name": "get_weather"},
        temperature=0,
        max_output_tokens=64,
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    done = next(e for e in events if e.type == "response.function_call_arguments.done")
    deltas = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    call = next(item for item in final.output if item.type == "function_call")
    assert "".join(deltas) == done.arguments == call.arguments
    assert done.item_id == call.id
    raw: Any = done
    assert raw.name == "get_weather"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
        ({"tools": [WEATHER, WEATHER]}, "tools[1].name"),
        ({"tools": [{**WEATHER, "parameters": {"type": "nothing"}}]}, "tools[0].parameters"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ],
)
def test_what_cannot_be_done_is_named(
    client: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, **fields)
    assert str(caught.value.param).startswith(param)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("responses") / "store"


@pytest.fixture
def kept(tiny_gguf: Path, store: Path, tmp_path: Path) -> Iterator[RealServer]:
    """Two server processes over one file, which outlives them."""
    options = ("--alias", "tiny", "--workers", "2", "--response-store", str(store))
    options += ("--context-size", "4096")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as running:
        yield running


def test_every_process_knows_what_any_has_kept(kept: RealServer) -> None:
    body = {"model": "tiny", "input": "a", "max_output_tokens": 4}
    ids = [kept.post("/v1/responses", body).json()["id"] for _ in range(8)]
    for _ in range(8):  # each on a connection of its own, so at either process
        for name in ids:
            answer = requests.get(f"{kept.url}/v1/responses/{name}", timeout=30)
            assert answer.status_code == 200
    long = {**body, "max_output_tokens": 4000, "ignore_eos": True, "background": True}
    for _ in range(4):
        made = kept.post("/v1/responses", long).json()
        ended = kept.post(f"/v1/responses/{made['id']}/cancel", {}).json()
        assert ended["status"] == "cancelled"
    assert kept.wait_until_idle()["running"] == 0


def test_what_was_running_when_the_server_died_has_failed(tiny_gguf: Path, tmp_path: Path) -> None:
    options = ("--alias", "tiny", "--response-store", str(tmp_path / "store"))
    options += ("--context-size", "4096")
    body = {"model": "tiny", "input": "a", "background": True, "stream": False}
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as first:
        done = first.post("/v1/responses", {**body, "background": False, "max_output_tokens": 4})
        made = first.post("/v1/responses", {**body, "ignore_eos": True}).json()
        family = psutil.Process(first.process.pid).children(recursive=True)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        psutil.wait_procs(family, timeout=30)
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as second:
        path = f"{second.url}/v1/responses"
        failed = requests.get(f"{path}/{made['id']}", timeout=30).json()
        assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
        old = requests.get(f"{path}/{done.json()['id']}", timeout=30).json()
        assert old == done.json()


def test_a_store_that_has_to_be_waited_for_holds_up_nobody_else(
    kept: RealServer, store: Path
) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        body = {"model": "tiny", "input": "a", "max_output_tokens": 1}
        with ThreadPoolExecutor(64) as pool:
            waiting = [pool.submit(kept.post, "/v1/responses", body) for _ in range(64)]
            kept.wait_until_idle()
            for _ in range(8):
                chat = {"model": "tiny", "messages": [{"role": "user", "content": "a"}]}
                answer = kept.post("/v1/chat/completions", {**chat, "max_tokens": 1})
                assert answer.status_code == 200
            assert not any(each.done() for each in waiting)
            other.execute("COMMIT")
            assert {each.result().status_code for each in waiting} == {200}


def test_a_failure_is_the_last_event_of_a_stream(tiny_server: RealServer) -> None:
    client = tiny_server.client()
    stream = client.responses.create(
        model="tiny", input="a", stream=True, extra_body={"ignore_eos": True}
    )
    events: list[Any] = []
    for event in stream:
        # Before its first text, it would be computed again.
        if event.type == "response.output_text.delta" and event.type != events[-1].type:
            (engine,) = psutil.Process(tiny_server.process.pid).children()
            engine.kill()
        events.append(event)
    last: Any = events[-1]
    assert last.type == "response.failed"
    assert last.response.error.code == "server_error"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kept = client.responses.retrieve(last.response.id)
    assert (kept.status, kept.error is None) == ("failed", False)


def test_thinking_is_sent_back(client: openai.OpenAI) -> None:
    sealed = "Y3JpYQBobQ=="
    thought: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
    said: Any = {"role": "assistant", "content": "Hello"}
    turns: Any = [
        {"role": "user", "content": "Hi"},
        thought,
        said,
        {"role": "user", "content": "Hi"},
    ]
    made = create(client, turns, store=False, include=["reasoning.encrypted_content"])
    without = create(client, [turns[0], *turns[2:]], store=False)
    # A template that does not look at thinking leaves it out.
    assert made.output_text == without.output_text
