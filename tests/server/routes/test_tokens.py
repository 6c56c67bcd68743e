"""Tokens and templates over a vocabulary of bytes, in the shapes of llama-server and vLLM."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from cria.errors import EngineUnavailable
from tests.fakes import TEMPLATE, FakeGeneration
from tests.server.conftest import make_client

MESSAGES = [{"role": "user", "content": "hi"}]
POSTS = {
    "/tokenize": {"content": "a"},
    "/detokenize": {"tokens": [97]},
    "/apply-template": {"messages": MESSAGES},
    "/chat/completions/input_tokens": {"model": "fake", "messages": MESSAGES},
}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"content": "ab"}, {"tokens": [97, 98]}),
        ({"content": "a", "add_special": True}, {"tokens": [256, 97]}),
        ({"content": "<s>", "parse_special": False}, {"tokens": [60, 115, 62]}),
        (
            {"content": "aé", "with_pieces": True},
            {
                "tokens": [
                    {"id": 97, "piece": "a"},
                    {"id": 195, "piece": [195]},
                    {"id": 169, "piece": [169]},
                ]
            },
        ),
        ({"content": ["a", 256]}, {"tokens": [97, 256]}),
        ({"prompt": "a"}, {"tokens": [256, 97], "count": 2, "max_model_len": 2048}),
        (
            {"prompt": "a", "add_special_tokens": False, "return_token_strs": True},
            {"tokens": [97], "count": 1, "max_model_len": 2048, "token_strs": ["a"]},
        ),
    ],
)
def test_tokenize(client: FlaskClient, body: dict[str, object], answer: dict[str, object]) -> None:
    assert client.post("/tokenize", json=body).get_json() == answer


def test_detokenize(client: FlaskClient) -> None:
    answer = client.post("/detokenize", json={"tokens": [256, 97, 195, 169]})
    assert answer.get_json() == {"content": "<s>aé", "prompt": "<s>aé"}
    refused = client.post("/detokenize", json={"tokens": [97, 260]})
    assert refused.get_json()["error"]["param"] == "tokens[1]"


def test_apply_template(client: FlaskClient) -> None:
    answer = client.post("/apply-template", json={"messages": MESSAGES, "foo": 1})
    assert answer.get_json() == {"prompt": "[user]hi"}
    assert answer.headers["x-cria-warnings"] == "foo"


def test_input_tokens(client: FlaskClient) -> None:
    answer = client.post(
        "/v1/chat/completions/input_tokens", json=POSTS["/chat/completions/input_tokens"]
    )
    assert answer.get_json() == {"object": "response.input_tokens", "input_tokens": 8}


def test_tokenizer_info(client: FlaskClient) -> None:
    assert client.get("/tokenizer_info").get_json() == {
        "vocab_size": 260,
        "model_max_length": 2048,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": None,
        "add_bos_token": True,
        "add_eos_token": False,
        "chat_template": TEMPLATE,
    }


@pytest.mark.parametrize("path", POSTS)
def test_another_model_and_unknown_fields(generation: FakeGeneration, path: str) -> None:
    client = make_client(generation, strict=True)
    assert client.post(path, json={**POSTS[path], "model": "org/fake:1"}).status_code == 200
    missing = client.post(path, json={**POSTS[path], "model": "nope"})
    assert missing.get_json()["error"]["code"] == "model_not_found"
    unknown = client.post(path, json={**POSTS[path], "foo": 1})
    assert unknown.get_json()["error"]["code"] == "unknown_parameter"


@pytest.mark.parametrize("path", [*POSTS, "/tokenizer_info", "/props", "/slots"])
def test_nothing_is_told_before_the_model_is_loaded(
    client: FlaskClient, generation: FakeGeneration, path: str
) -> None:
    generation.refusal = EngineUnavailable("loading")
    method = "POST" if path in POSTS else "GET"
    answer = client.open(f"/v1{path}/", method=method, json=POSTS.get(path))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
