"""Filling in the middle, on both routes, with a model that has the tokens and one that has not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from cria.native.tiny_model import write_tiny_model
from cria.prompt.loading import load_text_side
from tests.real_server import RealServer

pytestmark = pytest.mark.integration

OPTIONS: dict[str, Any] = {"model": "tiny", "max_tokens": 8, "temperature": 0}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "fim.gguf"
    write_tiny_model(path, fim=True)
    return path


@pytest.fixture(scope="module")
def fim_server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    log = tmp_path_factory.mktemp("fim") / "log"
    with RealServer.start(model, "--alias", "tiny", "--context-size", "256", log=log) as running:
        yield running


def test_a_suffix_is_the_prompt_with_its_tokens(fim_server: RealServer, model: Path) -> None:
    client = fim_server.client()
    ids = load_text_side(str(model)).tokenizer.encode_infill("hello ", " world")
    by_hand = client.completions.create(prompt=ids, **OPTIONS)
    filled = client.completions.create(prompt="hello ", suffix=" world", **OPTIONS)
    assert filled.choices[0].text == by_hand.choices[0].text
    assert filled.usage is not None and filled.usage.prompt_tokens == len(ids)
    plain = client.completions.create(prompt="hello ", suffix="", **OPTIONS)
    assert plain.usage is not None and plain.usage.prompt_tokens < len(ids) - 3


def test_every_prompt_of_a_list_has_the_suffix(fim_server: RealServer) -> None:
    client = fim_server.client()
    each = [client.completions.create(prompt=p, suffix="x", **OPTIONS) for p in ("a", "b")]
    both = client.completions.create(prompt=["a", "b"], suffix="x", **OPTIONS)
    assert both.usage is not None
    assert both.usage.prompt_tokens == sum(a.usage.prompt_tokens for a in each if a.usage)
    assert len(both.choices) == 2


def test_the_route_of_editors_answers_as_a_chat(fim_server: RealServer) -> None:
    body = {**OPTIONS, "prompt": "hello ", "suffix": " world"}
    wanted = fim_server.client().completions.create(**body).choices[0].text
    answer = fim_server.post("/v1/fim/completions", body).json()
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == wanted
    chunks = fim_server.client().post(
        "/fim/completions",
        body={**body, "stream": True},
        cast_to=ChatCompletionChunk,
        stream=True,
        stream_cls=openai.Stream[ChatCompletionChunk],
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == wanted


def test_a_model_without_the_tokens_says_so(server: RealServer) -> None:
    for path in ("/v1/completions", "/v1/fim/completions"):
        body = {"model": "smollm2", "prompt": "a", "suffix": "b", "max_tokens": 1}
        answer = server.post(path, body)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["param"], error["code"]) == ("suffix", "unsupported_parameter")
        assert server.post(path, body | {"suffix": ""}).status_code == 200
