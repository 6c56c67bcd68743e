"""What the official client is told, for the others to be compared with."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import openai
import pytest

from tests.real_server import RealServer

# Read when the package is imported: else it asks the network for a list of prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

MAX_TOKENS = 8
TINY_CHAT = {"max_tokens": MAX_TOKENS, "temperature": 0.0}


def is_wanted(config: pytest.Config) -> bool:
    return "clients" in config.option.markexpr.replace("not clients", "")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Nothing here is imported, unless `-m` names the marker."""
    return None if is_wanted(config) else True


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The garbage of clients (see `marks.CLIENT`) is found at the very end too."""
    if is_wanted(config):
        warnings.filterwarnings("ignore", "unclosed", ResourceWarning)


class Greeting(NamedTuple):
    """A chat that answers "Hi" with a few greedy tokens, as the official client sees it."""

    text: str
    prompt_tokens: int
    completion_tokens: int


@pytest.fixture(scope="session")
def official(server: RealServer) -> openai.OpenAI:
    return server.client()


@pytest.fixture(scope="session")
def base_url(server: RealServer) -> str:
    return f"{server.url}/v1"


@pytest.fixture(scope="session")
def greeting(official: openai.OpenAI) -> Greeting:
    answer = official.chat.completions.create(
        model="smollm2",
        messages=[{"role": "user", "content": "Hi"}],
        max_tokens=MAX_TOKENS,
        temperature=0,
    )
    assert answer.usage is not None and answer.choices[0].finish_reason == "length"
    text = answer.choices[0].message.content
    assert text
    return Greeting(text, answer.usage.prompt_tokens, answer.usage.completion_tokens)


@pytest.fixture(scope="session")
def story(official: openai.OpenAI) -> str:
    """How the official client sees "Once upon a time" go on."""
    answer = official.completions.create(
        model="smollm2", prompt="Once upon a time", max_tokens=MAX_TOKENS, temperature=0
    )
    return answer.choices[0].text


@pytest.fixture(scope="session")
def vectors_of(official: openai.OpenAI) -> Callable[[list[str]], list[list[float]]]:
    """The embeddings of texts, sent as plain numbers."""

    def embed(texts: list[str]) -> list[list[float]]:
        answer = official.embeddings.create(model="smollm2", input=texts, encoding_format="float")
        return [item.embedding for item in answer.data]

    return embed
