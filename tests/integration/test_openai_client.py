"""The official client against the real server and the real default model."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import openai
import pytest
from openai.types import CompletionUsage

from tests.real_server import RealServer

pytestmark = pytest.mark.integration

QUESTION = [{"role": "user", "content": "Hi"}]
STORY = "Once upon a time"


def counts(usage: CompletionUsage | None) -> tuple[int, int, int]:
    """Without the cached tokens, which depend on who asked before."""
    assert usage is not None
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens


@pytest.fixture(scope="module")
def client(server: RealServer) -> openai.OpenAI:
    return server.client()


def test_models(client: openai.OpenAI) -> None:
    models = list(client.models.list())
    assert [model.id for model in models] == ["smollm2", "org/name"]
    model = models[0]
    assert (model.object, model.owned_by) == ("model", "cria")
    assert abs(model.created - time.time()) < 3600
    assert client.models.retrieve("smollm2").id == "smollm2"
    assert client.models.retrieve("org/name").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nope")
    assert caught.value.code == "model_not_found"


def test_completion(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="smollm2", prompt=STORY, max_tokens=8, temperature=0)
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    (choice,) = answer.choices
    assert choice.text.strip() and choice.finish_reason == "length"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 8)
    assert answer.usage.total_tokens == 12


def test_completion_defaults_to_sixteen_tokens(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="smollm2", prompt=STORY, extra_body={"ignore_eos": True}
    )
    assert answer.usage is not None and answer.usage.completion_tokens == 16


def test_streamed_completion_is_the_plain_one(client: openai.OpenAI) -> None:
    options = {"model": "smollm2", "prompt": STORY, "max_tokens": 24, "temperature": 0}
    plain = client.completions.create(**options)
    chunks = list(
        client.completions.create(**options, stream=True, stream_options={"include_usage": True})
    )
    assert {(c.id, c.created, c.model, c.object) for c in chunks} == {
        (chunks[0].id, chunks[0].created, "smollm2", "text_completion")
    }
    assert "".join(c.choices[0].text for c in chunks if c.choices) == plain.choices[0].text
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert reasons[-1] == plain.choices[0].finish_reason
    assert set(reasons[:-1]) == {None}
    assert chunks[-1].choices == []
    assert counts(chunks[-1].usage) == counts(plain.usage)
    assert all(c.usage is None for c in chunks[:-1])


def test_many_prompts_and_choices(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="smollm2",
        prompt=["a", "b"],
        n=2,
        max_tokens=4,
        seed=5,
        extra_body={"ignore_eos": True},
    )
    assert [c.index for c in answer.choices] == [0, 1, 2, 3]
    assert answer.usage is not None and answer.usage.completion_tokens == 16
    assert answer.usage.prompt_tokens == 2


def test_token_ids_as_prompt(client: openai.OpenAI) -> None:
    text = client.completions.create(model="smollm2", prompt=STORY, max_tokens=8, temperature=0)
    ids = client.completions.create(
        model="smollm2", prompt=[6403, 1980, 253, 655], max_tokens=8, temperature=0
    )
    assert ids.usage is not None and text.usage is not None
    assert ids.usage.prompt_tokens == text.usage.prompt_tokens == 4
    assert ids.choices[0].text == text.choices[0].text
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="smollm2", prompt=[1, 49152])
    assert caught.value.param == "prompt[1]"


def test_chat_stops_by_itself(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="smollm2", messages=QUESTION, temperature=0)
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    (choice,) = answer.choices
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant"
    assert choice.message.content and "<|im_end|>" not in choice.message.content
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_streamed_chat_is_the_plain_one(client: openai.OpenAI) -> None:
    plain = client.chat.completions.create(model="smollm2", messages=QUESTION, temperature=0)
    with client.chat.completions.stream(
        model="smollm2",
        messages=QUESTION,
        temperature=0,
        stream_options={"include_usage": True},
    ) as stream:
        roles = [
            event.chunk.choices[0].delta.role
            for event in stream
            if event.type == "chunk" and event.chunk.choices
        ]
        final = stream.get_final_completion()
    assert roles[0] == "assistant" and set(roles[1:]) == {None}
    assert final.choices[0].message.content == plain.choices[0].message.content
    assert final.choices[0].message.role == "assistant"
    assert final.choices[0].finish_reason == "stop"
    assert counts(final.usage) == counts(plain.usage)


def test_two_streamed_choices(client: openai.OpenAI) -> None:
    texts, reasons, order = ["", ""], [[], []], []
    for chunk in client.chat.completions.create(
        model="smollm2", messages=QUESTION, n=2, max_completion_tokens=6, seed=3, stream=True
    ):
        (choice,) = chunk.choices
        order.append(choice.index)
        texts[choice.index] += choice.delta.content or ""
        reasons[choice.index].append(choice.finish_reason)
    assert order[:2] == [0, 1], "the roles come first, in order"
    assert all(texts)
    for found in reasons:
        assert found[-1] in ("stop", "length") and set(found[:-1]) == {None}


def test_content_parts_and_developer_are_what_they_stand_for(client: openai.OpenAI) -> None:
    def prompt_tokens(*messages: dict[str, object]) -> int:
        answer = client.chat.completions.create(
            model="smollm2",
            messages=list(messages),  # type: ignore[arg-type]  # plain dicts, as users write them
            max_tokens=1,
        )
        assert answer.usage is not None
        return answer.usage.prompt_tokens

    hi = {"role": "user", "content": "hi"}
    parts = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    assert prompt_tokens(hi) == prompt_tokens(parts)
    system = {"role": "system", "content": "Be short."}
    assert prompt_tokens(system, hi) == prompt_tokens({**system, "role": "developer"}, hi)


def test_seed_repeats_and_temperature_zero_is_greedy(client: openai.OpenAI) -> None:
    def ask(**options: object) -> str | None:
        answer = client.chat.completions.create(
            model="smollm2",
            messages=QUESTION,
            max_tokens=12,
            **options,  # type: ignore[arg-type]
        )
        return answer.choices[0].message.content

    assert ask(temperature=0) == ask(temperature=0)
    assert ask(seed=7) == ask(seed=7)
    assert len({ask(seed=seed, temperature=1.5) for seed in (1, 2, -1, 2**40)}) > 1


def test_sampling_parameters_reach_the_sampler(client: openai.OpenAI) -> None:
    def text(**options: Any) -> str:
        arguments: dict[str, Any] = {"max_tokens": 6, **options}
        answer = client.completions.create(model="smollm2", prompt=STORY, **arguments)
        return answer.choices[0].text

    greedy = text(temperature=0)
    assert text(extra_body={"top_k": 1}) == greedy
    assert text(top_p=0.0001) == greedy
    assert text(extra_body={"min_p": 1.0}) == greedy
    assert text(temperature=0, logit_bias={"28": -100}) != greedy
    forced = text(temperature=0, logit_bias={"905": 100})
    assert forced == " world" * 6
    # With a bias of 20, " world" leads until the penalty has cost it the lead.
    biased = {"temperature": 0, "logit_bias": {"905": 20}, "max_tokens": 12}
    assert text(**biased) == " world" * 12
    assert text(**biased, extra_body={"repeat_penalty": 1.9}) != " world" * 12


def test_stop_strings_across_tokens(client: openai.OpenAI) -> None:
    options = {"model": "smollm2", "prompt": "1 2 3 4 5 6", "max_tokens": 40, "temperature": 0}
    whole = client.completions.create(**options).choices[0].text
    middle = whole[5:9]
    chunks = list(client.completions.create(**options, stop=[middle, "never"], stream=True))
    text = "".join(c.choices[0].text for c in chunks if c.choices)
    assert text == whole[: whole.index(middle)]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_errors_have_the_right_class(client: openai.OpenAI) -> None:
    def chat(**options: object) -> None:
        arguments: dict[str, object] = {"model": "smollm2", "messages": QUESTION, **options}
        client.chat.completions.create(**arguments)  # type: ignore[call-overload]

    for options, code, param in (
        ({"messages": []}, "empty_array", "messages"),
        ({"messages": "x"}, "invalid_type", "messages"),
        ({"temperature": 3}, "decimal_above_max_value", "temperature"),
        ({"temperature": "1"}, "invalid_type", "temperature"),
        ({"n": 0}, "integer_below_min_value", "n"),
        ({"logit_bias": {"49152": 1}}, "invalid_value", "logit_bias"),
        ({"max_tokens": 2**31}, "integer_above_max_value", "max_tokens"),
        ({"logprobs": True, "top_logprobs": 21}, "integer_above_max_value", "top_logprobs"),
        ({"top_logprobs": 2}, "invalid_value", "top_logprobs"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            chat(**options)
        assert (caught.value.code, caught.value.param) == (code, param)
        assert caught.value.type == "invalid_request_error"
        assert caught.value.request_id
    with pytest.raises(openai.NotFoundError) as missing:
        chat(model="nope")
    assert missing.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_beyond_the_context_is_refused_before_the_answer(
    client: openai.OpenAI, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length is 1024") as caught:
        client.completions.create(model="smollm2", prompt="word " * 2000, stream=stream)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="maximum context length is 1024"):
        client.completions.create(model="smollm2", prompt="a" * 1_000_000, stream=stream)


def test_generation_ends_where_the_context_does(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="smollm2",
        prompt=[28] * 1000,
        max_tokens=5000,
        extra_body={"ignore_eos": True},
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None and answer.usage.total_tokens == 1024


def test_emoji_arrive_whole(client: openai.OpenAI) -> None:
    prompt = "🙂🙃🙂🙃🙂🙃🙂🙃🙂🙃🙂🙃🙂🙃🙂🙃"
    chunks = list(
        client.completions.create(
            model="smollm2", prompt=prompt, max_tokens=16, temperature=0, stream=True
        )
    )
    text = "".join(c.choices[0].text for c in chunks)
    assert "🙃" in text or "🙂" in text
    assert "\ufffd" not in text.rstrip("\ufffd"), "only a cut at the very end may be broken"


def test_async_client_reuses_its_connection(server: RealServer) -> None:
    async def two_streams() -> None:
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="none", max_retries=0
        ) as client:
            for _ in range(2):
                stream = await client.completions.create(
                    model="smollm2", prompt=STORY, max_tokens=4, stream=True
                )
                async for _chunk in stream:
                    pass
            pool = client._client._transport._pool  # type: ignore[attr-defined]  # httpx's own
            assert len(pool.connections) == 1

    asyncio.run(two_streams())


def test_unknown_fields_are_named_in_a_header_and_refused_when_strict(
    client: openai.OpenAI,
) -> None:
    def ask(**headers: str) -> str | None:
        raw = client.completions.with_raw_response.create(
            model="smollm2",
            prompt=STORY,
            max_tokens=1,
            extra_body={"top_k": 1, "unknown_field": 1},
            extra_headers=headers,
        )
        return raw.headers.get("x-cria-warnings")

    assert ask() == "unknown_field"
    with pytest.raises(openai.BadRequestError) as caught:
        ask(**{"x-cria-strict": "1"})
    assert (caught.value.code, caught.value.param) == ("unknown_parameter", "unknown_field")
