"""pydantic-ai, which validates plain answers strictly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import openai
import pytest
from pydantic_ai import Agent, Embedder
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from tests.clients.conftest import MAX_TOKENS, Greeting
from tests.clients.marks import CLIENT

pytestmark = CLIENT

SETTINGS = ModelSettings(max_tokens=MAX_TOKENS, temperature=0.0)


def client(base_url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0)


async def ask(base_url: str, prompt: str, model: str = "smollm2") -> tuple[str, int, int]:
    async with client(base_url) as connection:
        provider = OpenAIProvider(openai_client=connection)
        agent = Agent(OpenAIChatModel(model, provider=provider), model_settings=SETTINGS)
        result = await agent.run(prompt)
    return result.output, result.usage.input_tokens, result.usage.output_tokens


def test_chat(base_url: str, greeting: Greeting) -> None:
    assert asyncio.run(ask(base_url, "Hi")) == greeting


def test_streamed_chat(base_url: str, greeting: Greeting) -> None:
    """It always asks for the usage of a stream."""

    async def stream() -> tuple[list[str], int, str | None]:
        async with client(base_url) as connection:
            provider = OpenAIProvider(openai_client=connection)
            agent = Agent(OpenAIChatModel("smollm2", provider=provider), model_settings=SETTINGS)
            async with agent.run_stream("Hi") as result:
                deltas = [text async for text in result.stream_text(delta=True, debounce_by=None)]
            return deltas, result.usage.output_tokens, result.response.finish_reason

    deltas, output_tokens, finish_reason = asyncio.run(stream())
    assert "".join(deltas) == greeting.text and len(deltas) > 4
    assert (output_tokens, finish_reason) == (greeting.completion_tokens, "length")


def test_errors(base_url: str) -> None:
    with pytest.raises(ModelHTTPError) as missing:
        asyncio.run(ask(base_url, "Hi", model="nope"))
    assert missing.value.status_code == 404
    assert isinstance(missing.value.body, dict)
    assert missing.value.body["code"] == "model_not_found"
    with pytest.raises(ModelHTTPError, match="maximum context length is 1024"):
        asyncio.run(ask(base_url, "word " * 2000))


def test_embeddings(base_url: str, vectors_of: Callable[[list[str]], list[list[float]]]) -> None:
    texts = ["a cat", "a dog"]

    async def embed() -> tuple[list[list[float]], int]:
        async with client(base_url) as connection:
            provider = OpenAIProvider(openai_client=connection)
            embedder = Embedder(OpenAIEmbeddingModel("smollm2", provider=provider))
            result = await embedder.embed_documents(texts)
        return [list(vector) for vector in result.embeddings], result.usage.input_tokens

    vectors, input_tokens = asyncio.run(embed())
    assert vectors == [pytest.approx(vector, abs=1e-6) for vector in vectors_of(texts)]
    assert input_tokens > 0
