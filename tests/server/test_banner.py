"""What the operator reads, and pastes."""

from __future__ import annotations

import json
import shlex

import msgspec
import pytest

from cria.access_key import hashed
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.ipc.messages import EmbeddingInfo
from cria.server import banner
from tests.fakes import READY, FakeGeneration


def test_it_says_where_what_and_how_much() -> None:
    text = banner.ready_banner(ModelPool.of(FakeGeneration()), ServerConfig(), 1234)
    assert "fake on http://127.0.0.1:1234/v1" in text
    assert "8 sequences of 2048 tokens each, on CPU" in text
    assert "Warning" not in text


def test_it_says_less_when_it_knows_less() -> None:
    generation = FakeGeneration()
    generation.engine = msgspec.structs.replace(generation.engine, info=None)
    assert "sequences" not in banner.ready_banner(ModelPool.of(generation), ServerConfig(), 1234)


@pytest.mark.parametrize(("pooling", "route"), [("mean", "embeddings"), ("rank", "rerank")])
def test_a_model_that_only_embeds_is_shown_as_one(pooling: str, route: str) -> None:
    generation = FakeGeneration()
    info = msgspec.structs.replace(
        READY, can_generate=False, num_slots=0, embedding=EmbeddingInfo(384, 512, pooling)
    )
    generation.engine = msgspec.structs.replace(generation.engine, info=info)
    text = banner.ready_banner(ModelPool.of(generation), ServerConfig(keys=(hashed("k"),)), 1234)
    what = {"mean": "Embeddings", "rank": "Rankings"}[pooling]
    assert f"{what} of texts of up to 512 tokens, on CPU" in text
    assert "sequence" not in text
    words = shlex.split(text.splitlines()[-1])
    assert words[:4] == ["curl", f"http://127.0.0.1:1234/v1/{route}", "-H", words[3]]
    assert json.loads(words[-1])["model"] == "fake"


def test_it_repeats_the_engines_warnings() -> None:
    generation = FakeGeneration()
    info = msgspec.structs.replace(READY, warnings=["there is no GPU"])
    generation.engine = msgspec.structs.replace(generation.engine, info=info)
    assert "Warning: there is no GPU" in banner.ready_banner(
        ModelPool.of(generation), ServerConfig(), 1
    )


@pytest.mark.parametrize(
    ("config", "warns"),
    [
        (ServerConfig(host="0.0.0.0"), True),
        (ServerConfig(host="0.0.0.0", keys=(hashed("k"),)), False),
        (ServerConfig(host="localhost"), False),
    ],
)
def test_it_warns_of_an_open_door(config: ServerConfig, warns: bool) -> None:
    assert ("--api-key" in banner.ready_banner(ModelPool.of(FakeGeneration()), config, 1)) is warns


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("box", "http://box:80"),
    ],
)
def test_the_address_works_from_this_machine(host: str, url: str) -> None:
    assert banner.base_url(host, 80) == url


def test_the_line_survives_a_shell() -> None:
    words = shlex.split(banner.curl_line("http://h:1", "it's", needs_key=False))
    assert words[:3] == ["curl", "http://h:1/v1/completions", "-d"]
    assert msgspec.json.decode(words[3])["model"] == "it's"


def test_the_line_shows_where_the_key_goes_but_no_key() -> None:
    config = ServerConfig(keys=(hashed("secret"),))
    text = banner.ready_banner(ModelPool.of(FakeGeneration()), config, 1)
    assert '-H "Authorization: Bearer $CRIA_API_KEY"' in text
    assert "secret" not in text
