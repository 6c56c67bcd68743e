"""LlamaIndex's models for servers like OpenAI's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

from tests.clients.conftest import TINY_CHAT, Greeting
from tests.clients.marks import CLIENT

pytestmark = CLIENT

HI = [ChatMessage(role="user", content="Hi")]


def model(base_url: str, **options: Any) -> OpenAILike:
    return OpenAILike(
        api_base=base_url,
        **{"api_key": "none", "model": "smollm2", "max_retries": 0, **TINY_CHAT, **options},
    )


def test_chat(base_url: str, greeting: Greeting) -> None:
    answer = model(base_url, is_chat_model=True).chat(HI)
    assert answer.message.role == "assistant"
    assert answer.message.content == greeting.text
    assert answer.additional_kwargs["prompt_tokens"] == greeting.prompt_tokens
    assert answer.additional_kwargs["completion_tokens"] == greeting.completion_tokens


def test_streamed_chat(base_url: str, greeting: Greeting) -> None:
    deltas = [answer.delta for answer in model(base_url, is_chat_model=True).stream_chat(HI)]
    assert "".join(delta or "" for delta in deltas) == greeting.text
    assert len(deltas) > 4


def test_completion(base_url: str, story: str) -> None:
    """What it sends unless it is told that the model chats."""
    plain = model(base_url).complete("Once upon a time")
    assert plain.text == story
    streamed = list(model(base_url).stream_complete("Once upon a time"))
    assert streamed[-1].text == story and len(streamed) > 4


def test_log_probabilities_of_both_routes(base_url: str, greeting: Greeting, story: str) -> None:
    options = {"logprobs": True, "top_logprobs": 2}
    chat = model(base_url, is_chat_model=True, **options).chat(HI)
    completion = model(base_url, **options).complete("Once upon a time")
    for answer, text in ((chat, greeting.text), (completion, story)):
        assert answer.logprobs is not None
        assert "".join(first.token for first, _ in answer.logprobs) == text
        assert all(first.logprob >= second.logprob for first, second in answer.logprobs)


def test_unknown_model(base_url: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        model(base_url, model="nope").complete("Hi")
    assert caught.value.code == "model_not_found"


def test_embeddings(base_url: str, vectors_of: Callable[[list[str]], list[list[float]]]) -> None:
    embeddings = OpenAILikeEmbedding(
        model_name="smollm2", api_base=base_url, api_key="none", max_retries=0
    )
    texts = ["a cat", "a dog"]
    assert embeddings.get_text_embedding_batch(texts) == [
        pytest.approx(vector, abs=1e-6) for vector in vectors_of(texts)
    ]
    assert embeddings.get_query_embedding("a cat") == pytest.approx(
        vectors_of(["a cat"])[0], abs=1e-6
    )
