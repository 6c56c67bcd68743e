"""What a program may rely on in a chat: limits, choices, refusals, and the end of a stream."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.real_server import RealServer

pytestmark = pytest.mark.integration

LONG = {"ignore_eos": True}
"""Nothing but the limit ends it."""


HELLO = "19556"
"""The token's id."""


@pytest.fixture(scope="module")
def client(server: RealServer) -> openai.OpenAI:
    return server.client()


def question(**options: Any) -> dict[str, Any]:
    return {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}], **options}


@pytest.mark.parametrize(
    "limits",
    [
        {"max_completion_tokens": 3},
        {"max_tokens": 3},
        {"max_completion_tokens": 3, "max_tokens": 5},
        {"max_completion_tokens": 3, "max_tokens": 1},
    ],
)
def test_the_limit_is_kept_and_named(client: openai.OpenAI, limits: dict[str, int]) -> None:
    answer = client.chat.completions.create(**question(**limits, extra_body=LONG))
    assert answer.usage.completion_tokens == 3
    assert answer.choices[0].finish_reason == "length"


def test_every_choice_counts_and_the_prompt_once(client: openai.OpenAI) -> None:
    one = client.chat.completions.create(**question(max_tokens=4, extra_body=LONG))
    three = client.chat.completions.create(**question(n=3, max_tokens=4, extra_body=LONG))
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens == 12
    assert three.usage.prompt_tokens == one.usage.prompt_tokens
    assert three.usage.total_tokens == three.usage.prompt_tokens + 12


def test_a_stop_string_ends_an_answer_and_is_not_in_it(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(**question(temperature=0, max_tokens=8))
    text = whole.choices[0].message.content
    word = text.split()[2]
    for stop in (word, ["a\u0000", "b\u0000", "c\u0000", word]):
        answer = client.chat.completions.create(**question(temperature=0, max_tokens=8, stop=stop))
        assert answer.choices[0].message.content == text.partition(word)[0]
        assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"abc": 1}}, "logit_bias"),
        ({"stop": [""]}, "stop"),
    ],
)
def test_what_cannot_be_honoured_is_named(
    client: openai.OpenAI, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**question(**options))
    assert (caught.value.param or "").startswith(param)


def test_a_ban_holds(client: openai.OpenAI) -> None:
    def first_token(**options: Any) -> str:
        answer = client.chat.completions.create(
            **question(temperature=0, max_tokens=1, logprobs=True, **options)
        )
        return str(answer.choices[0].logprobs.content[0].token)

    assert first_token() == "Hello"
    assert first_token(logit_bias={HELLO: -100}) != "Hello"


def test_one_chunk_of_a_stream_has_the_reason_and_no_content(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(**question(max_tokens=4, stream=True)))
    endings = [chunk for chunk in chunks if chunk.choices[0].finish_reason]
    assert endings == chunks[-1:]
    assert endings[0].choices[0].delta.content is None
    assert endings[0].choices[0].delta.role is None
    heads = {(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}
    assert heads == {(chunks[0].id, chunks[0].created, "smollm2", "chat.completion.chunk")}


def test_the_helper_puts_two_choices_together(client: openai.OpenAI) -> None:
    options = question(n=2, temperature=0, stream_options={"include_usage": True})
    with client.chat.completions.stream(**options) as stream:
        order = [
            event.chunk.choices[0].index
            for event in stream
            if event.type == "chunk" and event.chunk.choices
        ]
        final = stream.get_final_completion()
    assert order[0] == 0
    assert [choice.index for choice in final.choices] == [0, 1]
    one, other = (choice.message for choice in final.choices)
    assert one.role == other.role == "assistant"
    assert one.content == other.content != ""
    plain = client.chat.completions.create(**question(n=2, temperature=0))
    assert final.usage is not None
    assert final.usage.completion_tokens == plain.usage.completion_tokens
