"""LangChain's chat model and embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
import tiktoken
from langchain_core.exceptions import ContextOverflowError, ModelNotFoundError
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

from tests.clients.conftest import TINY_CHAT, Greeting
from tests.clients.marks import CLIENT

pytestmark = CLIENT


@pytest.fixture
def options(base_url: str) -> dict[str, Any]:
    return {"base_url": base_url, "api_key": "none", "model": "smollm2", "max_retries": 0}


def test_chat(options: dict[str, Any], greeting: Greeting) -> None:
    answer = ChatOpenAI(**options, **TINY_CHAT).invoke("Hi")
    assert answer.content == greeting.text
    assert answer.response_metadata["finish_reason"] == "length"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == greeting.prompt_tokens
    assert answer.usage_metadata["output_tokens"] == greeting.completion_tokens


def test_streamed_chat_with_usage(options: dict[str, Any], greeting: Greeting) -> None:
    chunks = list(ChatOpenAI(**options, **TINY_CHAT, stream_usage=True).stream("Hi"))
    assert len(chunks) > 4
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.content == greeting.text
    assert whole.response_metadata["finish_reason"] == "length"
    assert whole.response_metadata["model_name"] == "smollm2"
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == greeting.completion_tokens


def test_messages_as_lists_of_parts(options: dict[str, Any]) -> None:
    chat = ChatOpenAI(**options, **TINY_CHAT)
    system = SystemMessage("Be short.")
    plain = chat.invoke([system, HumanMessage("Hi")])
    parts = chat.invoke([system, HumanMessage([{"type": "text", "text": "Hi"}])])
    assert plain.content == parts.content
    assert plain.usage_metadata is not None and parts.usage_metadata is not None
    assert plain.usage_metadata["input_tokens"] == parts.usage_metadata["input_tokens"]


def test_log_probabilities(options: dict[str, Any], greeting: Greeting) -> None:
    chat = ChatOpenAI(**options, **TINY_CHAT, logprobs=True, top_logprobs=2)
    plain = chat.invoke("Hi").response_metadata["logprobs"]["content"]
    assert "".join(token["token"] for token in plain) == greeting.text
    assert all(token["top_logprobs"][0]["token"] == token["token"] for token in plain)
    chunks = [chunk.response_metadata.get("logprobs") or {} for chunk in chat.stream("Hi")]
    streamed = [token for chunk in chunks for token in chunk.get("content") or []]
    assert [token["token"] for token in streamed] == [token["token"] for token in plain]


def test_completion(options: dict[str, Any], story: str) -> None:
    model = OpenAI(**options, **TINY_CHAT)
    assert model.invoke("Once upon a time") == story
    assert "".join(model.stream("Once upon a time")) == story


def test_errors_have_the_classes_that_it_tells_apart(options: dict[str, Any]) -> None:
    with pytest.raises(ModelNotFoundError) as missing:
        ChatOpenAI(**{**options, "model": "nope"}).invoke("Hi")
    assert isinstance(missing.value, openai.NotFoundError)
    with pytest.raises(ContextOverflowError, match="maximum context length is 1024"):
        ChatOpenAI(**options).invoke("word " * 2000)


def test_embeddings(
    options: dict[str, Any], vectors_of: Callable[[list[str]], list[list[float]]]
) -> None:
    embeddings = OpenAIEmbeddings(**options, check_embedding_ctx_length=False)
    texts = ["a cat", "a dog"]
    assert embeddings.embed_documents(texts) == [
        pytest.approx(vector, abs=1e-6) for vector in vectors_of(texts)
    ]
    assert embeddings.embed_query("a cat") == pytest.approx(vectors_of(["a cat"])[0], abs=1e-6)


def test_embeddings_of_token_ids(
    options: dict[str, Any], official: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless told otherwise, it sends the ids that OpenAI's vocabulary has for the text.

    That one comes from the network; here it has one id for each byte.
    """
    one_per_byte = tiktoken.Encoding(
        "cl100k_base",
        pat_str=r"[\s\S]",
        mergeable_ranks={bytes([value]): value for value in range(256)},
        special_tokens={},
    )
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "cl100k_base", one_per_byte)
    vectors = OpenAIEmbeddings(**options).embed_documents(["cat"])
    answer = official.embeddings.create(model="smollm2", input=[list(b"cat")])
    assert vectors[0] == pytest.approx(answer.data[0].embedding, abs=1e-6)
