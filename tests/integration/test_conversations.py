"""What a conversation may look like, and how an answer goes on: the official client asks."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.real_server import RealServer

pytestmark = pytest.mark.integration

HI = {"role": "user", "content": "Hi"}
SYSTEM = {"role": "system", "content": "Be short."}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PROMPT = (
    "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    "<|im_start|>assistant\n"
)


@pytest.fixture(scope="module")
def client(server: RealServer) -> openai.OpenAI:
    return server.client()


def ask(client: openai.OpenAI, *messages: dict[str, Any], **options: Any) -> Any:
    arguments: dict[str, Any] = {"temperature": 0, "max_tokens": 6, **options}
    return client.chat.completions.create(
        model="smollm2",
        messages=list(messages),  # type: ignore[arg-type]  # plain dicts, as users write them
        **arguments,
    )


def same_answer(one: Any, other: Any) -> bool:
    return bool(
        one.choices[0].message.content == other.choices[0].message.content
        and one.usage.prompt_tokens == other.usage.prompt_tokens
    )


def test_roles_and_parts_are_what_they_stand_for(client: openai.OpenAI) -> None:
    plain = ask(client, SYSTEM, HI)
    parts = {**HI, "content": [{"type": "text", "text": "Hi"}]}
    assert same_answer(ask(client, SYSTEM | {"role": "developer"}, HI), plain)
    assert same_answer(ask(client, SYSTEM, parts), plain)


def test_nulls_are_no_values(client: openai.OpenAI) -> None:
    names = (
        "max_completion_tokens n stop seed top_p presence_penalty frequency_penalty logit_bias "
        "logprobs top_logprobs response_format tools tool_choice parallel_tool_calls functions "
        "function_call reasoning_effort verbosity modalities audio prediction store metadata "
        "service_tier user safety_identifier prompt_cache_key prompt_cache_retention stream "
        "stream_options web_search_options reasoning continue_final_message moderation "
        "reasoning_format reasoning_budget thinking_budget thinking_token_budget enable_thinking"
    )
    raw = client.chat.completions.with_raw_response.create(
        model="smollm2",
        messages=[HI],  # type: ignore[list-item]  # a plain dict
        max_tokens=1,
        extra_body=dict.fromkeys(names.split()),
    )
    assert raw.http_response.status_code == 200
    assert "x-cria-warnings" not in raw.headers


@pytest.mark.parametrize("text", ["Hello! How", "Hello! ", "\n\nWell <|im_end|>,"])
def test_an_answer_goes_on_where_the_last_message_ends(client: openai.OpenAI, text: str) -> None:
    begun = {"role": "assistant", "content": text}
    answer = ask(client, SYSTEM, HI, begun)
    with_the_name = {"add_generation_prompt": False, "continue_final_message": True}
    assert same_answer(answer, ask(client, SYSTEM, HI, begun, extra_body=with_the_name))
    if "<|" in text:
        return  # in a raw prompt it is a control token
    raw = client.completions.create(
        model="smollm2", prompt=PROMPT + text, max_tokens=6, temperature=0
    )
    assert raw.usage is not None
    assert answer.usage.prompt_tokens == raw.usage.prompt_tokens
    assert answer.choices[0].message.content == raw.choices[0].text


def test_a_new_message_can_be_asked_for(client: openai.OpenAI) -> None:
    begun = {"role": "assistant", "content": "Hello!"}
    raw = client.completions.create(
        model="smollm2", prompt=f"{PROMPT}Hello!<|im_end|>\n<|im_start|>assistant\n", max_tokens=1
    )
    new = ask(client, SYSTEM, HI, begun, extra_body={"continue_final_message": False})
    same = ask(client, SYSTEM, HI, begun, extra_body={"add_generation_prompt": True})
    assert raw.usage is not None and new.usage.prompt_tokens == raw.usage.prompt_tokens
    assert same_answer(new, same)
    both = {"add_generation_prompt": True, "continue_final_message": True}
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, HI, begun, extra_body=both)
    assert caught.value.param == "continue_final_message"


def test_an_image_is_refused_and_the_server_lives(client: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(openai.BadRequestError, match="reads text only") as caught:
        ask(client, HI | {"content": [{"type": "text", "text": "What?"}, image]})
    assert caught.value.param == "messages.[0].content.[1].type"
    assert ask(client, HI).choices[0].message.content


def test_tool_calls_and_their_results(client: openai.OpenAI) -> None:
    calls = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    result = {"role": "tool", "content": "42", "tool_call_id": "c"}
    strict = {"x-cria-strict": "1"}
    ask(client, HI, calls, result, extra_headers=strict)
    ask(client, HI, result)
    with pytest.raises(openai.BadRequestError, match="must be a response to") as caught:
        ask(client, HI, result, extra_headers=strict)
    assert caught.value.param == "messages.[1].role"


def test_an_answer_can_be_sent_back_as_it_came(client: openai.OpenAI) -> None:
    message = ask(client, HI).choices[0].message
    raw = client.chat.completions.with_raw_response.create(
        model="smollm2",
        messages=[HI, message.model_dump(), HI],  # type: ignore[list-item]  # plain dicts
        max_tokens=1,
        extra_headers={"x-cria-strict": "1"},
    )
    assert "x-cria-warnings" not in raw.headers
    replayed = {**message.model_dump(), "tool_calls": [CALL]}
    ask(client, HI, replayed, {"role": "tool", "content": "1", "tool_call_id": "c"})


def test_options_without_effect_are_named(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="smollm2",
        messages=[HI],  # type: ignore[list-item]  # a plain dict
        max_tokens=1,
        reasoning_effort="low",
        verbosity="low",
        prediction={"type": "content", "content": [{"type": "text", "text": "x"}]},
        extra_body={"chat_template_kwargs": {"enable_thinking": False}, "chat_id": "c"},
    )
    assert raw.headers["x-cria-warnings"].split(", ") == [
        "prediction",
        "chat_id",
        "verbosity",
        "reasoning_effort",
        "chat_template_kwargs.enable_thinking",
    ]


def test_usage_on_every_chunk(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True, "continuous_usage_stats": True}
    chunks = list(ask(client, HI, stream=True, stream_options=options))
    counts = [chunk.usage.completion_tokens for chunk in chunks]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == 6
    assert len({chunk.usage.prompt_tokens for chunk in chunks}) == 1
