"""Log probabilities, echo, best_of and scores beside the model's own logits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import requests

from tests.raw_model import RawModel
from tests.real_server import RealServer

pytestmark = pytest.mark.integration

HI = [{"role": "user", "content": "Hi"}]
STORY = [6403, 1980, 253, 655]
"""Once upon a time"""


@pytest.fixture(scope="module")
def raw(default_model: Path) -> RawModel:
    return RawModel(default_model)


@pytest.fixture(scope="module")
def client(server: RealServer) -> Iterator[openai.OpenAI]:
    yield server.client()


def complete(client: openai.OpenAI, **options: Any) -> Any:
    return client.completions.create(**{"model": "smollm2", "temperature": 0, **options})


def test_greedy_output_is_a_raw_decode(client: openai.OpenAI, raw: RawModel) -> None:
    answer = complete(client, prompt=STORY, max_tokens=12, logprobs=0)
    assert answer.choices[0].logprobs.tokens == raw.pieces(raw.greedy(STORY, 12))


def test_a_chats_log_probabilities(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="smollm2",
        messages=HI,  # type: ignore[arg-type]
        logprobs=True,
        top_logprobs=2,
        max_tokens=6,
        extra_body={"ignore_eos": True},
    )
    (choice,) = answer.choices
    assert choice.logprobs is not None and choice.logprobs.content is not None
    tokens = choice.logprobs.content
    assert answer.usage is not None and len(tokens) == answer.usage.completion_tokens
    assert (
        bytes(b for token in tokens for b in token.bytes or []).decode() == choice.message.content
    )
    for token in tokens:
        assert math.isfinite(token.logprob) and token.logprob <= 0
        first, second = token.top_logprobs
        assert first.logprob >= second.logprob


def test_without_the_question_there_is_a_null(server: RealServer) -> None:
    body = {"model": "smollm2", "messages": HI, "max_tokens": 1}
    (choice,) = requests.post(f"{server.url}/v1/chat/completions", json=body).json()["choices"]
    assert choice["logprobs"] is None


def test_a_streams_log_probabilities_are_the_plain_ones(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {
        "model": "smollm2",
        "messages": [{"role": "user", "content": "Say: café 🙂"}],
        "logprobs": True,
        "top_logprobs": 1,
        "max_tokens": 12,
        "temperature": 0,
        "stop": ["zzz", " never "],
    }
    plain = client.chat.completions.create(**options).choices[0]
    text, tokens = "", []
    for chunk in client.chat.completions.create(**options, stream=True):
        choice = chunk.choices[0]
        text += choice.delta.content or ""
        if choice.logprobs:
            joined = b"".join(bytes(token.bytes) for token in choice.logprobs.content)
            assert joined.decode() == choice.delta.content
            tokens += choice.logprobs.content
    assert text == plain.message.content
    assert [(t.token, t.bytes) for t in tokens] == [
        (t.token, t.bytes) for t in plain.logprobs.content
    ]
    expected = [t.logprob for t in plain.logprobs.content]
    assert [t.logprob for t in tokens] == pytest.approx(expected, abs=1e-2)


def test_what_evaluation_harnesses_ask_for(client: openai.OpenAI, raw: RawModel) -> None:
    prompts = [STORY, [*STORY, 28, 665]]
    answer = complete(client, prompt=prompts, max_tokens=1, logprobs=1, echo=True, seed=1234)
    for ids, choice in zip(prompts, answer.choices, strict=True):
        scores = choice.logprobs
        assert len(scores.tokens) == len(ids) + 1 == len(scores.token_logprobs)
        assert scores.token_logprobs[0] is None and scores.top_logprobs[0] is None
        assert scores.text_offset == sorted(scores.text_offset)
        rows = raw.log_softmax(ids)
        for value, top, token, row in zip(
            scores.token_logprobs[1:-1], scores.top_logprobs[1:-1], ids[1:], rows, strict=False
        ):
            assert value == pytest.approx(row[token], abs=1e-3)
            assert max(top.values()) >= value
            assert max(top.values()) == pytest.approx(row.max(), abs=1e-3)
        assert choice.text.startswith("Once upon a time")


def test_a_long_prompt_is_scored_to_its_end(client: openai.OpenAI, raw: RawModel) -> None:
    ids = (STORY * 80)[:300]
    answer = complete(client, prompt=ids, max_tokens=0, logprobs=0, echo=True)
    scores, rows = answer.choices[0].logprobs.token_logprobs, raw.log_softmax(ids)
    expected = [row[token] for row, token in zip(rows, ids[1:], strict=False)]
    assert scores[1:] == pytest.approx(expected, abs=1e-3)
    assert answer.usage.completion_tokens == 0


def test_echo_in_a_stream_comes_first(client: openai.OpenAI) -> None:
    stream = complete(client, prompt="Once upon", max_tokens=2, echo=True, stream=True)
    chunks = [chunk.choices[0].text for chunk in stream]
    assert chunks[0] == "Once upon"
    plain = complete(client, prompt="Once upon", max_tokens=2, echo=True).choices[0].text
    assert "".join(chunks) == plain


def test_the_best_of_several_candidates(default_model: Path, tmp_path: Path) -> None:
    # One sequence after another, each computed from nothing: the same numbers both times.
    alone = ("--alias", "smollm2", "--parallel", "1", "--no-prefix-cache", "--context-size", "256")
    with RealServer.start(default_model, *alone, log=tmp_path / "log") as lone:
        client = lone.client()
        options: dict[str, Any] = {"prompt": STORY, "max_tokens": 4, "temperature": 1, "seed": 5}
        every = complete(client, **options, n=4, logprobs=0).choices
        means = {choice.text: float(np.mean(choice.logprobs.token_logprobs)) for choice in every}
        answer = complete(client, **options, best_of=4, n=2)
        ranked = sorted(means, key=means.__getitem__, reverse=True)
        assert [choice.text for choice in answer.choices] == ranked[:2]
        assert [choice.index for choice in answer.choices] == [0, 1]
        assert answer.choices[0].logprobs is None
        assert answer.usage.completion_tokens == 16, "every generated token counts"


def test_scores_are_sums_of_log_probabilities(server: RealServer, raw: RawModel) -> None:
    prompt, continuations = "The capital of France is", [" Paris", " Berlin", " a big city"]
    body = {"model": "smollm2", "prompt": prompt, "continuations": continuations}
    answer = requests.post(f"{server.url}/v1/score", json=body).json()
    start = len(raw.tokenize(prompt))
    for found, continuation in zip(answer["data"], continuations, strict=True):
        ids = raw.tokenize(prompt + continuation)
        rows = raw.log_softmax(ids)
        expected = sum(rows[i - 1][ids[i]] for i in range(start, len(ids)))
        assert found["logprob"] == pytest.approx(expected, abs=5e-3)
        assert found["num_tokens"] == len(ids) - start
        greedy = all(rows[i - 1].argmax() == ids[i] for i in range(start, len(ids)))
        assert found["is_greedy"] == greedy


def test_a_prompt_that_is_scored_leaves_the_others_as_they_were(
    server: RealServer, client: openai.OpenAI
) -> None:
    expected = complete(client, prompt=STORY, max_tokens=8).choices[0].text
    body = {"model": "smollm2", "prompt": STORY, "continuations": [[28, 665]] * 4}
    requests.post(f"{server.url}/v1/score", json=body).raise_for_status()
    assert complete(client, prompt=STORY, max_tokens=8).choices[0].text == expected


def test_a_continuation_that_merges_with_the_prompt_stands_by_itself(server: RealServer) -> None:
    body = {"model": "smollm2", "prompt": "Hel", "continuations": ["lo", "p"], "logprobs": True}
    answer = server.post("/v1/score", body).json()
    assert [found["logprobs"]["tokens"] for found in answer["data"]] == [["lo"], ["p"]]
    assert [found["logprobs"]["text_offset"] for found in answer["data"]] == [[3], [3]]
    long = {**body, "continuations": [" x", " x" * 1100]}
    error = server.post("/v1/score", long).json()["error"]
    assert (error["param"], error["code"]) == ("continuations[1]", "context_length_exceeded")


def test_offsets_are_those_of_the_text_that_is_returned(client: openai.OpenAI) -> None:
    answer = complete(client, prompt="Hi<|im_end|>x", echo=True, logprobs=0, max_tokens=2)
    (choice,) = answer.choices
    assert choice.logprobs.tokens[:3] == ["Hi", "<|im_end|>", "x"]
    assert choice.logprobs.text_offset[:4] == [0, 2, 12, 13]
