"""The sampling fields against the real server."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai.types import Completion

from tests.real_server import RealServer

pytestmark = pytest.mark.integration

STORY = "Once upon a time"
WORLD, END_OF_TURN = 905, 2
"""Tokens of the default model: " world", and `<|im_end|>`."""
ALWAYS_WORLD = {"logit_bias": {str(WORLD): 100}, "temperature": 0}

EXTRAS: dict[str, dict[str, Any]] = {
    "typical_p": {"typical_p": 0.3},
    "top_n_sigma": {"top_n_sigma": 0.5},
    "min_keep": {"top_p": 0.01, "min_keep": 50},
    "dry": {
        "dry_multiplier": 5,
        "dry_base": 2,
        "dry_allowed_length": 0,
        "dry_penalty_last_n": -1,
        "dry_sequence_breakers": ["\n", "."],
    },
    "xtc": {"xtc_probability": 1, "xtc_threshold": 0.01},
    "dynamic temperature": {"dynatemp_range": 0.9, "dynatemp_exponent": 0.5},
    "mirostat 1": {"mirostat": 1, "mirostat_tau": 2, "mirostat_eta": 0.5},
    "mirostat 2": {"mirostat_mode": 2, "mirostat_tau": 2},
    "adaptive_p": {"adaptive_target": 0.2, "adaptive_decay": 0.5, "min_p": 0.01},
    "samplers": {"samplers": "tk", "top_k": 3},
    "sampler names": {"samplers": ["temperature", "top-k"], "top_k": 3, "temperature": 0.5},
    "allowed_token_ids": {"allowed_token_ids": [WORLD, 28, 30]},
    "repeat_last_n": {"repeat_penalty": 2, "repeat_last_n": -1},
}


@pytest.fixture(scope="module")
def client(server: RealServer) -> openai.OpenAI:
    return server.client()


def complete(client: openai.OpenAI, **fields: Any) -> Completion:
    body = {"ignore_eos": True, "max_tokens": 10, **fields}
    return client.completions.create(model="smollm2", prompt=STORY, extra_body=body)


def outcome(answer: Completion) -> tuple[str, str, int]:
    """Text, reason, number of tokens."""
    assert answer.usage is not None
    (choice,) = answer.choices
    return choice.text, choice.finish_reason, answer.usage.completion_tokens


@pytest.mark.parametrize("name", EXTRAS)
def test_a_seed_repeats_its_choices_and_the_field_changes_them(
    client: openai.OpenAI, name: str
) -> None:
    first, second = (complete(client, seed=3, **EXTRAS[name]) for _ in range(2))
    assert outcome(first) == outcome(second)
    assert outcome(first) != outcome(complete(client, seed=3))


@pytest.mark.parametrize("name", EXTRAS)
def test_chat_takes_them_too(server: RealServer, name: str) -> None:
    body = {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    answer = server.post("/v1/chat/completions", {**body, **EXTRAS[name], "stream": True})
    assert answer.status_code == 200 and answer.text.endswith("data: [DONE]\n\n")
    assert "error" not in answer.text and "x-cria-warnings" not in answer.headers


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"typical_p": 2}, "typical_p", "decimal_above_max_value"),
        ({"mirostat": 3}, "mirostat", "integer_above_max_value"),
        ({"mirostat": 1, "mirostat_mode": 2}, "mirostat_mode", "invalid_value"),
        ({"dry_multiplier": -1}, "dry_multiplier", "decimal_below_min_value"),
        ({"dry_sequence_breakers": ["x" * 41]}, "dry_sequence_breakers", "string_above_max_length"),
        ({"xtc_threshold": -1}, "xtc_threshold", "decimal_below_min_value"),
        ({"adaptive_decay": 1}, "adaptive_decay", "decimal_above_max_value"),
        ({"samplers": ["top_k", "nope"]}, "samplers[1]", "invalid_value"),
        ({"min_tokens": 11}, "min_tokens", "integer_above_max_value"),
        ({"stop_token_ids": [49152]}, "stop_token_ids[0]", "invalid_value"),
        ({"allowed_token_ids": [-1]}, "allowed_token_ids[0]", "integer_below_min_value"),
        ({"allowed_token_ids": [0, 2]}, "allowed_token_ids", "invalid_value"),
        ({"logit_bias": [[49152, 1]]}, "logit_bias", "invalid_value"),
        ({"tfs_z": 0.5}, "tfs_z", "unsupported_parameter"),
    ],
)
def test_what_makes_no_sense_is_refused(
    client: openai.OpenAI, fields: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        complete(client, **fields)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_settings_without_their_switch_are_named(server: RealServer) -> None:
    body = {"model": "smollm2", "prompt": STORY, "max_tokens": 1, "mirostat_tau": 2, "dry_base": 3}
    answer = server.post("/v1/completions", body)
    assert answer.headers["x-cria-warnings"] == "dry_base, mirostat_tau"


@pytest.mark.parametrize(
    "fields", [{"temperature": 0}, {"seed": 1}, {"seed": 1, "typical_p": 0.9}, {"mirostat": 2}]
)
@pytest.mark.parametrize("bias", [{str(END_OF_TURN): 100}, [[END_OF_TURN, 100]]])
def test_the_end_comes_after_the_least_number_of_tokens(
    client: openai.OpenAI, fields: dict[str, Any], bias: object
) -> None:
    for min_tokens in (0, 5):
        answer = complete(
            client, ignore_eos=False, logit_bias=bias, min_tokens=min_tokens, **fields
        )
        text, reason, count = outcome(answer)
        # The token that ends it was generated too.
        assert (bool(text), reason, count) == (min_tokens > 0, "stop", min_tokens + 1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stop_token_ids": [WORLD]}, ("", "stop", 1)),
        ({"stop_token_ids": [7, WORLD], "min_tokens": 3}, (" world" * 3, "stop", 4)),
        ({"stop_token_ids": [7]}, (" world" * 10, "length", 10)),
        ({"stop": "world", "min_tokens": 2}, (" world world ", "stop", 3)),
        ({"stop": "world", "stop_token_ids": [WORLD]}, ("", "stop", 1)),
    ],
)
def test_a_stop_token_is_not_part_of_the_text(
    client: openai.OpenAI, fields: dict[str, Any], expected: tuple[str, str, int]
) -> None:
    assert outcome(complete(client, **ALWAYS_WORLD, **fields)) == expected
    chunks = list(
        client.completions.create(
            model="smollm2",
            prompt=STORY,
            stream=True,
            extra_body={"ignore_eos": True, "max_tokens": 10, **ALWAYS_WORLD, **fields},
        )
    )
    assert "".join(chunk.choices[0].text for chunk in chunks) == expected[0]
    assert chunks[-1].choices[0].finish_reason == expected[1]


def test_only_what_is_allowed_is_said(client: openai.OpenAI) -> None:
    text, _, count = outcome(complete(client, allowed_token_ids=[WORLD], temperature=1.5))
    assert (text, count) == (" world" * 10, 10)
