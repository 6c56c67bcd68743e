from __future__ import annotations

import json
from typing import Any

import pytest

from cria.api.decoding import decode
from cria.api.head import Choice, ResponseHead
from cria.api.logprobs import ScoredToken
from cria.api.score import ScoreRequest, encode_scores
from cria.api.usage import Usage
from cria.errors import RequestError


def decode_score(**fields: Any) -> ScoreRequest:
    body = {"model": "m", "prompt": "a", "continuations": [" b"], **fields}
    return decode(json.dumps(body).encode(), ScoreRequest)[0]


def test_text_or_token_ids() -> None:
    assert decode_score().continuations == [" b"]
    assert decode_score(prompt=[1], continuations=[[2], [3, 4]]).continuations == [[2], [3, 4]]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"continuations": []}, "continuations", "empty_array"),
        ({"continuations": [""]}, "continuations[0]", "empty_string"),
        ({"continuations": "b"}, "continuations", "invalid_type"),
        ({"continuations": [[1]]}, "continuations[0]", "invalid_type"),
        ({"prompt": [1], "continuations": [[1], "b"]}, "continuations[1]", "invalid_type"),
        ({"prompt": []}, "prompt", "empty_array"),
        ({"prompt": None}, "prompt", "invalid_type"),
        ({"continuations": ["a"] * 2049}, "continuations", "array_above_max_length"),
        ({"logprobs": 3}, "logprobs", "invalid_type"),
    ],
)
def test_what_is_no_such_request(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_score(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)


def scored(logprob: float, best: float) -> ScoredToken:
    return ScoredToken(b"x", True, logprob, [(b"y", best)], 3)


def test_the_answer() -> None:
    head = ResponseHead("score-1", 1_700_000_000, "m", "fp")
    choices = [
        Choice(0, "", "length", (scored(-1.0, -1.0), scored(-0.5, -0.5))),
        Choice(1, "", "length", (scored(-2.0, -1.0), scored(-0.5, -0.5))),
    ]
    body = json.loads(encode_scores(head, choices, Usage(7, 0, 2), with_tokens=False))
    usage = body.pop("usage")
    assert (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (7, 2)
    assert body == {
        "object": "list",
        "id": "score-1",
        "created": 1_700_000_000,
        "model": "m",
        "data": [
            {"object": "score", "index": 0, "logprob": -1.5, "num_tokens": 2, "is_greedy": True},
            {"object": "score", "index": 1, "logprob": -2.5, "num_tokens": 2, "is_greedy": False},
        ],
    }


def test_tokens_are_shown_if_asked_for() -> None:
    head = ResponseHead("score-1", 1_700_000_000, "m", "fp")
    choices = [Choice(0, "", "length", (scored(-1.0, -1.0),))]
    body = json.loads(encode_scores(head, choices, Usage(7, 0), with_tokens=True))
    assert body["data"][0]["logprobs"]["token_logprobs"] == [-1.0]
