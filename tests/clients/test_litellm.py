"""LiteLLM, which many proxies and coding tools are built on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import litellm
import pytest

from tests.clients.conftest import TINY_CHAT, Greeting
from tests.clients.marks import CLIENT

pytestmark = [
    *CLIENT,
    # About its own types, and how it uses them.
    pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_:DeprecationWarning"),
]

HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def options(base_url: str) -> dict[str, Any]:
    return {"api_base": base_url, "api_key": "none", "max_retries": 0}


def test_chat(options: dict[str, Any], greeting: Greeting) -> None:
    answer = litellm.completion("openai/smollm2", HI, **TINY_CHAT, **options)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", greeting.text)
    assert choice.finish_reason == "length"
    assert answer.id.startswith("chatcmpl-") and answer.model == "smollm2"
    assert answer.usage.prompt_tokens == greeting.prompt_tokens
    assert answer.usage.completion_tokens == greeting.completion_tokens


def test_streamed_chat_with_usage(options: dict[str, Any], greeting: Greeting) -> None:
    chunks = list(
        litellm.completion(
            "openai/smollm2",
            HI,
            stream=True,
            stream_options={"include_usage": True},
            **TINY_CHAT,
            **options,
        )
    )
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == greeting.text
    assert [delta.role for delta in deltas if delta.role] == ["assistant"]
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert [reason for reason in reasons if reason] == ["length"]
    assert chunks[-1].usage.completion_tokens == greeting.completion_tokens


def test_completion(options: dict[str, Any], story: str) -> None:
    answer = litellm.text_completion(
        "Once upon a time", "text-completion-openai/smollm2", **TINY_CHAT, **options
    )
    assert answer.choices[0].text == story


def test_errors_have_the_classes_that_it_tells_apart(options: dict[str, Any]) -> None:
    with pytest.raises(litellm.NotFoundError, match="The model `nope` does not exist"):
        litellm.completion("openai/nope", HI, **options)
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion("openai/smollm2", [{**HI[0], "content": "word " * 2000}], **options)


def test_embeddings(
    options: dict[str, Any], vectors_of: Callable[[list[str]], list[list[float]]]
) -> None:
    texts = ["a cat", "a dog"]
    answer = litellm.embedding("openai/smollm2", texts, **options)
    assert [item["index"] for item in answer.data] == [0, 1]
    assert [item["embedding"] for item in answer.data] == [
        pytest.approx(vector, abs=1e-6) for vector in vectors_of(texts)
    ]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
