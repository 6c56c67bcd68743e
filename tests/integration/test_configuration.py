"""A real server from a configuration file: names, defaults, forced values, limits, a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.real_server import RealServer

pytestmark = pytest.mark.integration

PROMPT = "Be brief."
TALK = [{"role": "user", "content": "Hi"}]
CONFIG = """
system-prompt = "{prompt}"

[server]
port = 0
parallel = 2
context-size = 512

[models.small]
model = "{model}"
aliases = ["other"]
defaults = {{temperature = 0, max_tokens = 6, ignore_eos = true}}
limits = {{max-tokens = 9, max-prompt-tokens = 100, max-choices = 2}}

[models.strict]
model = "{model}"
system-prompt = ""
forced = {{max_tokens = 3, temperature = 0, ignore_eos = true}}

[models.vectors]
model = "{vectors}"
defaults = {{dimensions = 8}}
"""


@pytest.fixture(scope="module")
def server(
    tiny_gguf: Path, tiny_bert_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    folder = tmp_path_factory.mktemp("configuration")
    text = CONFIG.format(prompt=PROMPT, model=tiny_gguf, vectors=tiny_bert_gguf)
    (folder / "cria.toml").write_text(text)
    words = ["cria", "serve", "--config", str(folder / "cria.toml")]
    with RealServer.run(words, folder / "log") as running:
        yield running


def chat(server: RealServer, model: str, **fields: Any) -> requests.Response:
    return server.post("/v1/chat/completions", {"model": model, "messages": TALK, **fields})


def test_names(server: RealServer) -> None:
    cards = requests.get(f"{server.url}/v1/models", timeout=30).json()["data"]
    assert [card["id"] for card in cards] == ["small", "other", "strict", "vectors"]


def test_defaults_fill_and_give_way(server: RealServer) -> None:
    bare = chat(server, "other")
    assert bare.json()["usage"]["completion_tokens"] == 6
    assert "x-cria-warnings" not in bare.headers
    assert bare.json()["choices"] == chat(server, "small").json()["choices"], "greedy"
    assert chat(server, "small", max_completion_tokens=2).json()["usage"]["completion_tokens"] == 2


def test_forced_values_win_and_say_so(server: RealServer) -> None:
    answer = chat(server, "strict", max_tokens=50, temperature=2)
    assert answer.json()["usage"]["completion_tokens"] == 3
    assert set(answer.headers["x-cria-warnings"].split(", ")) == {"max_tokens", "temperature"}
    again = chat(server, "strict")
    assert again.json()["choices"] == answer.json()["choices"]


def test_limits(server: RealServer) -> None:
    answer = chat(server, "small", max_tokens=50)
    assert answer.json()["usage"]["completion_tokens"] == 9
    assert answer.headers["x-cria-warnings"] == "max_tokens"
    many = chat(server, "small", n=3)
    assert (many.status_code, many.json()["error"]["param"]) == (400, "n")
    long = chat(server, "small", messages=[{"role": "user", "content": "word " * 100}])
    assert long.json()["error"]["code"] == "context_length_exceeded"


def test_the_system_prompt(server: RealServer) -> None:
    def prompt(model: str, messages: list[dict[str, str]]) -> str:
        body = {"model": model, "messages": messages}
        return str(server.post("/apply-template", body).json()["prompt"])

    assert PROMPT in prompt("small", TALK) and PROMPT not in prompt("strict", TALK)
    assert PROMPT not in prompt("small", [{"role": "system", "content": "Mine."}, *TALK])


def test_other_apis_are_chats_too(server: RealServer) -> None:
    body: dict[str, Any] = {"model": "small", "input": "Hi"}
    bare = server.post("/v1/responses", body).json()
    told = server.post("/v1/responses", {**body, "instructions": PROMPT}).json()
    assert bare["usage"]["output_tokens"] == 6 and bare["max_output_tokens"] == 6
    assert bare["usage"]["input_tokens"] == told["usage"]["input_tokens"]
    message = {"model": "strict", "max_tokens": 50, "messages": TALK}
    assert server.post("/v1/messages", message).json()["usage"]["output_tokens"] == 3


def test_embeddings(server: RealServer) -> None:
    answer = server.post("/v1/embeddings", {"model": "vectors", "input": "Hi"})
    assert len(answer.json()["data"][0]["embedding"]) == 8


def test_the_properties_show_it(server: RealServer) -> None:
    found = requests.get(f"{server.url}/props?model=small", timeout=30).json()
    assert found["default_generation_settings"]["params"]["max_tokens"] == 6
