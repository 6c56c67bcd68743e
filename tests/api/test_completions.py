from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from cria.api.completions import CompletionChunks, encode_completion
from cria.api.extras import Extras, Truncated
from cria.api.head import Choice, ResponseHead
from cria.api.usage import Usage
from tests.api.requests import decode_completion, refused_completion

HEAD = ResponseHead("cmpl-1", 1_700_000_000, "m", "fp")


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        ("", [""]),
        (None, [""]),
        (["a", ""], ["a", ""]),
        ([1, 2], [[1, 2]]),
        ([0], [[0]]),
        ([1.0, 2], [[1, 2]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
    ],
)
def test_prompts_are_a_list_of_texts_or_of_tokens(prompt: object, prompts: list[Any]) -> None:
    assert decode_completion(prompt=prompt)[0].prompt_list() == prompts


@pytest.mark.parametrize(
    ("prompt", "param", "code"),
    [
        ([], "prompt", "empty_array"),
        ([[]], "prompt[0]", "empty_array"),
        ([1, "a"], "prompt", "invalid_type"),
        ([[1], 2], "prompt", "invalid_type"),
        ([1, True], "prompt[1]", "invalid_type"),
        ([1, 1.5], "prompt[1]", "invalid_type"),
        ([1, -1], "prompt[1]", "integer_below_min_value"),
        ([2**40], "prompt[0]", "integer_above_max_value"),
        ([[1, "a"]], "prompt[0][1]", "invalid_type"),
        ([[[1]]], "prompt[0][0]", "invalid_type"),
        ({}, "prompt", "invalid_type"),
        (5, "prompt", "invalid_type"),
        (["a"] * 2049, "prompt", "array_above_max_length"),
    ],
)
def test_other_prompts_are_refused(prompt: object, param: str, code: str) -> None:
    error = refused_completion(prompt=prompt)
    assert (error.param, error.code) == (param, code)


def test_choices_of_all_prompts_count() -> None:
    decode_completion(prompt=["a"] * 16, n=128)
    assert refused_completion(prompt=["a"] * 17, n=128).param == "prompt"


def test_sixteen_tokens_are_the_default() -> None:
    assert decode_completion()[0].sampling_params().max_tokens == 16
    assert decode_completion(max_tokens=3)[0].sampling_params().max_tokens == 3
    assert refused_completion(max_tokens=0).code == "integer_below_min_value"


def test_best_of_has_to_be_n() -> None:
    decode_completion(best_of=1)
    decode_completion(best_of=3, n=3)
    for best_of in (2, 4):
        error = refused_completion(best_of=best_of, n=3)
        assert (error.param, error.code) == ("best_of", "unsupported_value")


def test_the_answer_has_every_key() -> None:
    choices = [Choice(0, "a", "stop"), Choice(1, "b", "length")]
    answer = json.loads(encode_completion(HEAD, choices, Usage(2, 3)))
    assert answer.pop("usage")["total_tokens"] == 5
    assert answer == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1_700_000_000,
        "model": "m",
        "system_fingerprint": "fp",
        "choices": [
            {"text": "a", "index": 0, "logprobs": None, "finish_reason": "stop"},
            {"text": "b", "index": 1, "logprobs": None, "finish_reason": "length"},
        ],
    }


def test_the_answer_names_the_tier_if_the_request_did() -> None:
    head = msgspec.structs.replace(HEAD, service_tier="flex")
    assert json.loads(encode_completion(head, [], Usage(2, 3)))["service_tier"] == "flex"
    assert "service_tier" not in json.loads(encode_completion(HEAD, [], Usage(2, 3)))


def test_chunks_have_the_shape_of_the_answer() -> None:
    chunks = CompletionChunks(HEAD, include_usage=False)
    assert chunks.start(0) is None
    assert json.loads(chunks.delta(3, 'a"é')) == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1_700_000_000,
        "model": "m",
        "system_fingerprint": "fp",
        "choices": [{"text": 'a"é', "index": 3, "logprobs": None, "finish_reason": None}],
    }
    assert json.loads(chunks.finish(3, "length"))["choices"] == [
        {"text": "", "index": 3, "logprobs": None, "finish_reason": "length"}
    ]


def test_the_answer_has_what_was_asked_for_beside_it() -> None:
    choice = Choice(0, "a", "stop", (5, 6), [1, 2])
    extras = Extras(truncated=Truncated("truncate_left", 3, 2))
    answer = json.loads(encode_completion(HEAD, [choice], Usage(2, 2), extras))
    assert answer["truncated"]["kept_tokens"] == 2
    assert answer["choices"][0]["token_ids"] == [5, 6]
    assert answer["choices"][0]["prompt_token_ids"] == [1, 2], "prompts may be several"


def test_the_tokens_of_the_prompt_open_a_stream() -> None:
    chunks = CompletionChunks(HEAD, include_usage=False)
    choice = json.loads(chunks.start(2, [1, 2]) or b"")["choices"][0]
    assert (choice["text"], choice["index"], choice["finish_reason"]) == ("", 2, None)
    assert (choice["token_ids"], choice["prompt_token_ids"]) == ([], [1, 2])
