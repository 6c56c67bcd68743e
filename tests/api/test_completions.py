from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from cria.api.completions import CompletionChunks, encode_completion
from cria.api.extras import Extras, Truncated
from cria.api.head import Choice, ResponseHead
from cria.api.logprobs import ScoredToken
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


def test_best_of_is_how_many_candidates_there_are() -> None:
    assert decode_completion(n=3)[0].num_candidates == 3
    request, _ = decode_completion(best_of=4, n=3)
    assert request.num_candidates == 4
    assert request.sampling_params().logprobs == 0, "to compare the candidates by"
    for fields in ({"best_of": 2, "n": 3}, {"best_of": 2, "stream": True}):
        error = refused_completion(**fields)
        assert (error.param, error.code) == ("best_of", "invalid_value")
    assert refused_completion(best_of=129).code == "integer_above_max_value"
    assert decode_completion(best_of=3, n=3, stream=True)[0].num_candidates == 3


def test_the_answer_has_the_best_candidates_and_shows_what_was_asked_for() -> None:
    choices = [
        Choice(i, text, "stop", (ScoredToken(text.encode(), True, value, [], 0),))
        for i, (text, value) in enumerate([("a", -3.0), ("b", -1.0)])
    ]
    request, _ = decode_completion(best_of=2)
    assert request.answered(choices) == [Choice(0, "b", "stop")]
    request, _ = decode_completion(best_of=2, logprobs=0)
    assert [choice.tokens for choice in request.answered(choices)] == [choices[1].tokens]


def test_nothing_may_be_generated_where_the_prompt_is_the_answer() -> None:
    assert decode_completion(max_tokens=0, echo=True)[0].sampling_params().max_tokens == 0


def test_a_prompt_is_scored_if_it_is_shown_with_log_probabilities() -> None:
    def scored_from(**fields: Any) -> int | None:
        return decode_completion(**fields)[0].sampling_params().prompt_logprobs_from

    assert scored_from(echo=True, logprobs=0) == 1
    assert scored_from(echo=True) is None
    assert scored_from(logprobs=3) is None
    assert refused_completion(logprobs=21).param == "logprobs"
    assert refused_completion(logprobs=True).code == "invalid_type"


def test_a_suffix_is_a_text() -> None:
    request, warnings = decode_completion(suffix="x", prompt=["a", "b"])
    assert (request.suffix, warnings) == ("x", ())
    assert decode_completion(suffix="")[1] == ()
    assert (refused_completion(suffix=5).param, refused_completion(suffix=["x"]).param) == (
        "suffix",
        "suffix",
    )


def test_a_suffix_cannot_be_echoed() -> None:
    error = refused_completion(suffix="x", echo=True)
    assert (error.param, error.code) == ("echo", "unsupported_parameter")


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


def test_log_probabilities_come_in_the_older_shape() -> None:
    token = ScoredToken(b"a", True, -1.0, [(b"b", -0.5)], 7)
    expected = {
        "tokens": ["a"],
        "token_logprobs": [-1.0],
        "top_logprobs": [{"b": -0.5, "a": -1.0}],
        "text_offset": [7],
    }
    (choice,) = json.loads(
        encode_completion(HEAD, [Choice(0, "a", "stop", (token,))], Usage(2, 3))
    )["choices"]
    assert choice["logprobs"] == expected
    chunk = json.loads(CompletionChunks(HEAD, include_usage=False).delta(0, "a", (token,)))
    assert chunk["choices"][0]["logprobs"] == expected


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
    choice = Choice(0, "a", "stop", token_ids=(5, 6), prompt_token_ids=[1, 2])
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
