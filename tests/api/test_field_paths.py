from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cria.api import field_paths as paths
from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.decoding import decode


def chat(**fields: Any) -> ChatCompletionRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return decode(msgspec.json.encode(body), ChatCompletionRequest)[0]


def test_what_was_sent() -> None:
    request = chat(
        temperature=1.0,
        chat_template_kwargs={"enable_thinking": True},
        reasoning={"effort": "low"},
        no_such_field=1,
    )
    assert paths.given_paths(request) == {
        "model",
        "messages",
        "temperature",
        "chat_template_kwargs.enable_thinking",
        "reasoning.effort",
    }
    assert paths.given_paths(chat(temperature=None)) == {"model", "messages"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("temperature", 0.5),
        ("chat_template_kwargs.a", 1),
        ("reasoning.effort", "high"),
        ("stop", ("x",)),
    ],
)
def test_a_value_is_set_and_taken_back(path: str, value: Any) -> None:
    request, untouched = chat(), chat()
    assert not paths.is_said(request, path)
    paths.write(request, path, value)
    assert paths.read(request, path) == value and paths.is_said(request, path)
    assert path.partition(".")[0] in paths.said_names(request)
    paths.take_back(request, path)
    assert not paths.is_said(request, path)
    assert paths.read(request, path) == paths.read(untouched, path)


def test_other_members_stay() -> None:
    request = chat(chat_template_kwargs={"a": 1, "b": 2}, reasoning={"effort": "low"})
    paths.take_back(request, "chat_template_kwargs.a")
    assert request.chat_template_kwargs == {"b": 2}
    paths.write(request, "reasoning.enabled", True)
    assert paths.read(request, "reasoning.effort") == "low"


def test_kinds_have_their_own_fields() -> None:
    assert paths.has(ChatCompletionRequest, "reasoning.effort")
    assert not paths.has(CompletionRequest, "messages")
