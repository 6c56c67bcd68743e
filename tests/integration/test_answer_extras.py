"""Timings and token ids, with the official client and the default model."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.real_server import RealServer

pytestmark = pytest.mark.integration

QUESTION = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def client(server: RealServer) -> openai.OpenAI:
    return server.client()


def check(timings: dict[str, Any], prompt: int, generated: int) -> None:
    """The numbers agree with the usage and with each other."""
    assert timings["cache_n"] + timings["prompt_n"] == prompt
    assert timings["predicted_n"] == generated
    assert timings["queue_ms"] >= 0
    assert timings["prefill_ms"] == timings["prompt_ms"] > 0
    assert timings["decode_ms"] == timings["predicted_ms"] > 0
    speed = 1000 * (generated - 1) / timings["predicted_ms"]
    assert timings["predicted_per_second"] == pytest.approx(speed, rel=0.01)


def test_timings_of_a_plain_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="smollm2",
        messages=QUESTION,  # type: ignore[arg-type]  # plain dicts
        max_tokens=8,
        temperature=0,
        extra_body={"timings": True, "ignore_eos": True},
    )
    assert answer.usage is not None
    timings = answer.timings  # type: ignore[attr-defined]
    check(timings, answer.usage.prompt_tokens, 8)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == timings["cache_n"]


def test_timings_of_a_stream_are_in_its_last_chunks(client: openai.OpenAI) -> None:
    chunks = list(
        client.completions.create(
            model="smollm2",
            prompt="Once upon a time",
            max_tokens=6,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"timings": True, "ignore_eos": True},
        )
    )
    told = [getattr(chunk, "timings", None) for chunk in chunks]
    assert told[:-2] == [None] * (len(chunks) - 2)
    assert chunks[-2].choices[0].finish_reason == "length"
    assert told[-2] == told[-1], "one choice: its timings are those of the request"
    check(told[-1], 4, 6)


def test_why_the_cache_did_not_help(client: openai.OpenAI) -> None:
    def timings_of(prompt: list[int]) -> dict[str, Any]:
        answer = client.completions.create(
            model="smollm2", prompt=prompt, max_tokens=2, extra_body={"timings": True}
        )
        made: dict[str, Any] = answer.timings  # type: ignore[attr-defined]
        return made

    prompt = [9000 + number for number in range(100)]
    first = timings_of(prompt)
    assert (first["cache_n"], first["cache_limit"]) == (0, "no_match")
    again = timings_of(prompt)
    assert (again["cache_n"], again["cache_limit"]) == (99, "whole_prompt")
    other = timings_of([*prompt[:90], 7, 8, 9])
    assert (other["cache_n"], other["cache_limit"]) == (90, "differs_at")
    assert other["cache_limit_position"] == 90


def test_a_stop_string_has_timings_too(client: openai.OpenAI) -> None:
    whole = (
        client.completions.create(
            model="smollm2", prompt="1 2 3 4 5 6", max_tokens=20, temperature=0
        )
        .choices[0]
        .text
    )
    answer = client.completions.create(
        model="smollm2",
        prompt="1 2 3 4 5 6",
        max_tokens=20,
        temperature=0,
        stop=whole[5:8],
        extra_body={"timings": True},
    )
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    timings = answer.timings  # type: ignore[attr-defined]
    # The step after the one with the stop string is under way when that is found.
    assert 0 <= timings["predicted_n"] - answer.usage.completion_tokens <= 5


def test_two_choices_are_summed(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="smollm2",
        prompt="Once",
        n=2,
        max_tokens=5,
        extra_body={"timings": True, "ignore_eos": True},
    )
    assert answer.timings["predicted_n"] == 10  # type: ignore[attr-defined]


def test_token_ids_are_the_text(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {
        "model": "smollm2",
        "prompt": "🙂🙃🙂🙃🙂🙃🙂🙃",
        "max_tokens": 16,
        "temperature": 0,
        "extra_body": {"return_token_ids": True},
    }
    plain = client.completions.create(**options)
    choice: Any = plain.choices[0]
    assert plain.usage is not None
    assert len(choice.prompt_token_ids) == plain.usage.prompt_tokens
    ended = choice.finish_reason == "stop"  # the token that ends it is not told
    assert len(choice.token_ids) == plain.usage.completion_tokens - ended
    streamed = [c.choices[0] for c in client.completions.create(**options, stream=True)]
    assert [token for each in streamed for token in each.token_ids] == choice.token_ids
    assert streamed[0].prompt_token_ids == choice.prompt_token_ids
    assert "".join(each.text for each in streamed) == choice.text
    again = client.completions.create(
        **{**options, "prompt": choice.prompt_token_ids, "extra_body": {}}
    )
    assert again.choices[0].text == choice.text


def test_token_ids_of_a_chat(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {
        "model": "smollm2",
        "messages": QUESTION,
        "temperature": 0,
        "max_tokens": 12,
        "extra_body": {"return_token_ids": True},
    }
    plain: Any = client.chat.completions.create(**options)
    chunks: list[Any] = list(client.chat.completions.create(**options, stream=True))
    assert len(plain.prompt_token_ids) == plain.usage.prompt_tokens
    assert chunks[0].prompt_token_ids == plain.prompt_token_ids
    assert not hasattr(chunks[1], "prompt_token_ids")
    told = [token for chunk in chunks for token in chunk.choices[0].token_ids]
    assert told == plain.choices[0].token_ids


def test_nothing_of_it_is_there_unless_it_is_asked_for(server: RealServer) -> None:
    body = {"model": "smollm2", "messages": QUESTION, "max_tokens": 2}
    for stream in (False, True):
        text = server.post("/v1/chat/completions", {**body, "stream": stream}).text
        assert not [name for name in ("timings", "truncated", "token_ids") if name in text]


@pytest.mark.parametrize("field", ["timings_per_token", "return_tokens", "n_discard"])
def test_other_names_are_refused_with_the_right_one(server: RealServer, field: str) -> None:
    body = {"model": "smollm2", "prompt": "a", field: 1 if field == "n_discard" else True}
    error = server.post("/v1/completions", body).json()["error"]
    assert (error["param"], error["code"]) == (field, "unsupported_parameter")
